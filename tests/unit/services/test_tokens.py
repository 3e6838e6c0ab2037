"""Short-lived tokens: what they say, how long they are good, and what nobody can make of them."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta, timezone

import jwt
import pytest

from app.domain.errors import Forbidden, InsufficientScope, InvalidCredentials, InvalidParameter
from app.services.accounts import STATIC_KEY_ID, Accounts
from app.services.tokens import Tokens
from tests.support.memory_keys import MemoryKeyStore
from tests.support.memory_usage import MemorySecretStore

START = datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(MemorySecretStore(), clock, "project")


@pytest.fixture
def accounts(clock: Clock, tokens: Tokens) -> Accounts:
    return Accounts(MemoryKeyStore(), clock, "the.static.key", tokens)


def claims_of(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def forged(token: str, **changes: object) -> str:
    head, _, signature = token.split(".")
    body = json.dumps(claims_of(token) | changes).encode()
    return ".".join((head, base64.urlsafe_b64encode(body).rstrip(b"=").decode(), signature))


class TestTokens:
    def test_a_token_says_what_the_contract_lists(self, tokens: Tokens) -> None:
        token = tokens.grant("key-1", 60)
        claims = claims_of(token)
        assert set(claims) == {"iat", "exp", "jti", "sub", "project_id", "scopes"}
        assert (claims["scopes"], claims["project_id"], claims["sub"]) == (["usage:write"], "project", "key-1")
        assert claims["exp"] == claims["iat"] + 60  # type: ignore[operator]
        assert jwt.get_unverified_header(token)["alg"] == "HS256"

    def test_it_ends_on_time(self, tokens: Tokens, clock: Clock) -> None:
        token = tokens.grant("key-1", 30)
        clock.advance(29)
        assert tokens.verify(token).key_id == "key-1"
        clock.advance(1)
        with pytest.raises(InvalidCredentials):
            tokens.verify(token)

    @pytest.mark.parametrize("ttl_s", [0, -1, 3601])
    def test_it_lives_between_a_second_and_an_hour(self, tokens: Tokens, ttl_s: int) -> None:
        with pytest.raises(InvalidParameter):
            tokens.grant("key-1", ttl_s)

    def test_nobody_can_change_what_it_says(self, tokens: Tokens) -> None:
        token = tokens.grant("key-1", 30)
        for changes in ({"exp": 9_999_999_999}, {"scopes": ["owner"]}, {"sub": "key-2"}):
            with pytest.raises(InvalidCredentials):
                tokens.verify(forged(token, **changes))

    def test_neither_unsigned_ones_nor_those_of_others_are_taken(self, tokens: Tokens, clock: Clock) -> None:
        claims = claims_of(tokens.grant("key-1", 30))
        kid = jwt.get_unverified_header(tokens.grant("key-1", 30))["kid"]
        unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": kid})
        theirs = Tokens(MemorySecretStore(), clock, "project").grant("key-1", 30)
        own_secret = jwt.encode(claims, b"x" * 32, algorithm="HS256", headers={"kid": kid})
        for token in (unsigned, theirs, own_secret, "a.b.c", "..", "\u00e9.\u00e9.\u00e9"):
            with pytest.raises(InvalidCredentials):
                tokens.verify(token)

    def test_one_of_another_project_is_refused(self, clock: Clock) -> None:
        store = MemorySecretStore()
        token = Tokens(store, clock, "theirs").grant("key-1", 30)
        with pytest.raises(InvalidCredentials):
            Tokens(store, clock, "ours").verify(token)

    def test_after_a_rotation_old_tokens_last_for_the_grace_period(self, tokens: Tokens, clock: Clock) -> None:
        old = tokens.grant("key-1", 3600)
        tokens.rotate(60)
        new = tokens.grant("key-1", 3600)
        clock.advance(59)
        assert tokens.verify(old).key_id == tokens.verify(new).key_id
        clock.advance(1)
        with pytest.raises(InvalidCredentials):
            tokens.verify(old)
        tokens.verify(new)

    def test_a_grace_period_is_not_negative(self, tokens: Tokens) -> None:
        with pytest.raises(InvalidParameter):
            tokens.rotate(-1)


class TestTokensOfKeys:
    def test_a_token_may_transcribe_and_nothing_else(self, accounts: Accounts) -> None:
        key, _ = accounts.create("laptop")
        stands_in = accounts.verify(accounts.grant(key))
        assert stands_in.key_id == key.key_id
        accounts.require(stands_in, "usage:write")
        for scope in ("keys:read", "usage:read", "project:read"):
            with pytest.raises(InsufficientScope):
                accounts.require(stands_in, scope)
        with pytest.raises(Forbidden):
            accounts.grant(stands_in)

    @pytest.mark.parametrize("scopes", [("usage:write",), ("usage:write", "keys:read")])
    def test_less_than_a_member_cannot_hand_out_any(self, accounts: Accounts, scopes: tuple[str, ...]) -> None:
        key, _ = accounts.create("weak", scopes)
        with pytest.raises(Forbidden):
            accounts.grant(key)

    def test_it_ends_with_its_key(self, accounts: Accounts) -> None:
        key, _ = accounts.create("laptop")
        token = accounts.grant(key, 600)
        accounts.revoke(key.key_id)
        with pytest.raises(InvalidCredentials):
            accounts.verify(token)

    def test_the_static_key_hands_them_out_too_and_is_no_token_for_its_dots(self, accounts: Accounts) -> None:
        static = accounts.verify("the.static.key")
        assert static.key_id == STATIC_KEY_ID
        assert accounts.verify(accounts.grant(static)).key_id == STATIC_KEY_ID

    def test_without_a_static_key_its_tokens_are_worth_nothing(self, clock: Clock, tokens: Tokens) -> None:
        token = tokens.grant(STATIC_KEY_ID, 30)
        with pytest.raises(InvalidCredentials):
            Accounts(MemoryKeyStore(), clock, "", tokens).verify(token)
