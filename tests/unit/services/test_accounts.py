from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from app.domain.errors import InsufficientScope, InvalidCredentials, InvalidParameter, InvalidRequest, NotFound, SttError
from app.domain.ports import ApiKey, KeyStatus
from app.services.accounts import KNOWN_SCOPES, SCOPE_SETS, STATIC_KEY_ID, Accounts
from app.storage.database import open_database
from app.storage.migrate import upgrade
from app.storage.stores import SqlKeyStore
from tests.support.memory_keys import MemoryKeyStore
from tests.support.racing import race

START = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


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
def store() -> MemoryKeyStore:
    return MemoryKeyStore()


@pytest.fixture
def accounts(store: MemoryKeyStore, clock: Clock) -> Iterator[Accounts]:
    accounts = Accounts(store, clock)
    yield accounts
    accounts.close()


def works(accounts: Accounts, secret: str | None) -> bool:
    try:
        accounts.verify(secret)
    except InvalidCredentials:
        return False
    return True


class TestCreate:
    def test_a_secret_is_forty_lower_case_hex_digits_and_its_start_the_prefix(self, accounts: Accounts) -> None:
        key, secret = accounts.create("laptop")
        assert re.fullmatch("[0-9a-f]{40}", secret)
        assert key.prefix == secret[:8]
        assert (key.name, key.scopes, key.created, key.expires) == ("laptop", ("member",), START, None)

    def test_no_two_keys_share_a_secret_or_an_id(self, accounts: Accounts) -> None:
        made = [accounts.create("same") for _ in range(50)]
        assert len({secret for _, secret in made}) == len({key.key_id for key, _ in made}) == 50

    def test_a_created_key_is_verified_and_listed(self, accounts: Accounts) -> None:
        key, secret = accounts.create("laptop", ["usage:write"])
        assert accounts.verify(secret) == key
        assert [each.key_id for each in accounts.list()] == [key.key_id]

    def test_the_name_is_trimmed_and_scopes_named_twice_count_once(self, accounts: Accounts) -> None:
        key, _ = accounts.create("  laptop ", ["usage:write", "usage:write", "admin"])
        assert (key.name, key.scopes) == ("laptop", ("usage:write", "admin"))

    @pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "x" * 201, "zero\x00"])
    def test_a_name_that_is_long_or_not_printable_is_refused(self, accounts: Accounts, name: str) -> None:
        with pytest.raises(InvalidParameter, match="printable") as caught:
            accounts.create(name)
        assert caught.value.parameter == "name"
        assert not accounts.list()

    @pytest.mark.parametrize("scopes", [[], [""], ["usage:wirte"], ["member", "MEMBER"], ["usage:write "]])
    def test_unknown_or_no_scopes_are_refused(self, accounts: Accounts, scopes: list[str]) -> None:
        with pytest.raises(InvalidParameter) as caught:
            accounts.create("laptop", scopes)
        assert caught.value.parameter == "scopes"
        assert not accounts.list()

    def test_an_unknown_scope_is_quoted_in_ascii_on_one_line(self, accounts: Accounts) -> None:
        with pytest.raises(InvalidParameter, match=r"unknown: '\\xe9\\n'") as caught:
            accounts.create("laptop", ["\xe9\n"])
        assert caught.value.message.isascii()

    @pytest.mark.parametrize(
        ("expires", "ttl_s"),
        [
            (START, None),
            (START - timedelta(days=1), None),
            (datetime(2027, 1, 1), None),  # noqa: DTZ001 - a naive time is what is refused
            (START + timedelta(days=1), 60.0),
            (None, 0.0),
            (None, -1.0),
            (None, 1e300),
            (None, float("nan")),
        ],
    )
    def test_an_expiry_that_makes_no_sense_is_refused(
        self, accounts: Accounts, expires: datetime | None, ttl_s: float | None
    ) -> None:
        with pytest.raises(InvalidParameter) as caught:
            accounts.create("laptop", expires=expires, ttl_s=ttl_s)
        assert caught.value.parameter == "expires"
        assert not accounts.list()


class TestVerify:
    def test_refuses_everything_that_is_not_a_live_key_in_the_same_words(self, accounts: Accounts) -> None:
        _, secret = accounts.create("laptop")
        assert works(accounts, secret)
        for wrong in (
            None, "", " ", secret.upper(), f" {secret}", f"{secret}\n", secret[:-1], secret + "0", "f" * 40, "\xff" * 40,
            "\ud800" * 40, "x" * 100_000,
        ):  # fmt: skip
            with pytest.raises(InvalidCredentials) as caught:
                accounts.verify(wrong)
            assert caught.value.message == "Invalid credentials."

    def test_a_revoked_and_an_expired_key_are_refused_in_those_words_too(self, accounts: Accounts, clock: Clock) -> None:
        _, revoked = accounts.create("revoked")
        accounts.revoke("revoked")
        _, expired = accounts.create("expired", ttl_s=1)
        clock.advance(1)
        for secret in (revoked, expired):
            with pytest.raises(InvalidCredentials) as caught:
                accounts.verify(secret)
            assert caught.value.message == "Invalid credentials."

    def test_a_key_expires_at_the_exact_second(self, accounts: Accounts, clock: Clock) -> None:
        _, by_ttl = accounts.create("ttl", ttl_s=60)
        _, by_date = accounts.create("date", expires=START + timedelta(seconds=60))
        clock.advance(59.999999)
        assert works(accounts, by_ttl)
        assert works(accounts, by_date)
        clock.advance(0.000001)
        assert not works(accounts, by_ttl)
        assert not works(accounts, by_date)

    def test_a_revoked_key_is_refused_from_the_next_call_on(self, accounts: Accounts) -> None:
        key, secret = accounts.create("laptop")
        assert works(accounts, secret)
        accounts.revoke(key.key_id)
        assert not works(accounts, secret)

    def test_a_static_key_of_any_form_works_beside_the_stored_ones(self, store: MemoryKeyStore, clock: Clock) -> None:
        accounts = Accounts(store, clock, "My static key \xe9")
        _, secret = accounts.create("laptop")
        key = accounts.verify("My static key \xe9")
        assert (key.key_id, key.scopes, key.prefix) == (STATIC_KEY_ID, ("owner",), "")
        assert works(accounts, secret)
        assert not works(accounts, "my static key \xe9")
        assert not works(accounts, "")
        assert [each.name for each in accounts.list()] == ["laptop"]
        accounts.close()

    def test_without_a_static_key_the_empty_secret_opens_nothing(self, store: MemoryKeyStore, clock: Clock) -> None:
        assert not works(Accounts(store, clock, ""), "")


class TestLastUse:
    def test_is_recorded_at_most_once_a_minute(self, store: MemoryKeyStore, clock: Clock) -> None:
        accounts = Accounts(store, clock)
        key, secret = accounts.create("laptop")
        for _ in range(3):
            accounts.verify(secret)
        clock.advance(59)
        accounts.verify(secret)
        clock.advance(1)
        accounts.verify(secret)
        accounts.close()
        assert store.touches == [(key.key_id, START), (key.key_id, START + timedelta(seconds=60))]

    def test_is_not_recorded_again_when_another_server_has_just_done_so(self, store: MemoryKeyStore, clock: Clock) -> None:
        accounts = Accounts(store, clock)
        key, secret = accounts.create("laptop")
        store.touch(key.key_id, START)
        store.touches.clear()
        clock.advance(59)
        accounts.verify(secret)
        accounts.close()
        assert store.touches == []

    def test_a_refused_key_is_not_used(self, store: MemoryKeyStore, clock: Clock) -> None:
        accounts = Accounts(store, clock)
        key, secret = accounts.create("laptop")
        accounts.revoke(key.key_id)
        assert not works(accounts, secret)
        accounts.close()
        assert store.touches == []

    def test_the_answer_does_not_wait_for_a_busy_store(self, clock: Clock) -> None:
        from threading import Event

        class Busy(MemoryKeyStore):
            def __init__(self) -> None:
                super().__init__()
                self.is_free = Event()

            def touch(self, key_id: str, when: datetime) -> None:
                assert self.is_free.wait(60)
                super().touch(key_id, when)

        store = Busy()
        accounts = Accounts(store, clock)
        key, secret = accounts.create("laptop")
        assert accounts.verify(secret) == key  # would hang here
        assert store.touches == []
        store.is_free.set()
        accounts.close()
        assert store.touches == [(key.key_id, START)]

    def test_a_failing_store_costs_a_log_line_and_not_the_answer(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        class ReadOnly(MemoryKeyStore):
            def touch(self, key_id: str, when: datetime) -> None:
                self.is_down = True
                super().touch(key_id, when)

        accounts = Accounts(ReadOnly(), clock)
        _, secret = accounts.create("laptop")
        with caplog.at_level(logging.WARNING):
            assert works(accounts, secret)
            accounts.close()
        assert [record.message for record in caplog.records] == ["the last use of a key could not be recorded"]

    def test_verification_goes_on_after_closing(self, store: MemoryKeyStore, clock: Clock) -> None:
        accounts = Accounts(store, clock)
        _, secret = accounts.create("laptop")
        accounts.close()
        accounts.close()
        assert works(accounts, secret)
        assert store.touches == []

    def test_closing_writes_first_and_then_closes_the_store(self, clock: Clock) -> None:
        class Ordered(MemoryKeyStore):
            def touch(self, key_id: str, when: datetime) -> None:
                assert self.closings == 0
                super().touch(key_id, when)

        store = Ordered()
        accounts = Accounts(store, clock)
        key, secret = accounts.create("laptop")
        accounts.verify(secret)
        accounts.close()
        assert store.touches == [(key.key_id, START)]
        assert store.closings == 1


class TestFindAndRevoke:
    def test_a_key_is_named_by_id_prefix_name_or_secret(self, accounts: Accounts) -> None:
        accounts.create("other")
        key, secret = accounts.create("laptop")
        assert {accounts.find(each).key_id for each in (key.key_id, key.prefix, "laptop", secret)} == {key.key_id}

    @pytest.mark.parametrize("reference", ["", "nobody", "0" * 40, "lap"])
    def test_nothing_is_found_by_anything_else(self, accounts: Accounts, reference: str) -> None:
        accounts.create("")
        accounts.create("laptop")
        for attempt in (accounts.find, accounts.revoke, accounts.rotate):
            with pytest.raises(NotFound, match="No key has this id, prefix or name"):
                attempt(reference)

    def test_an_ambiguous_name_is_refused_and_the_ids_are_given(self, accounts: Accounts) -> None:
        (one, first), (two, second) = accounts.create("laptop"), accounts.create("laptop")
        with pytest.raises(InvalidRequest, match="Several keys match") as caught:
            accounts.revoke("laptop")
        assert one.key_id in caught.value.message
        assert two.key_id in caught.value.message
        assert works(accounts, first)
        assert works(accounts, second)

    def test_a_name_that_equals_another_keys_prefix_is_ambiguous(self, accounts: Accounts) -> None:
        victim, _ = accounts.create("victim")
        accounts.create(victim.prefix)
        with pytest.raises(InvalidRequest, match="Several keys match"):
            accounts.revoke(victim.prefix)

    def test_a_live_key_comes_before_a_revoked_one_of_that_name(self, accounts: Accounts) -> None:
        old, _ = accounts.create("laptop")
        accounts.revoke("laptop")
        new, _ = accounts.create("laptop")
        assert accounts.revoke("laptop").key_id == new.key_id
        assert accounts.find(old.key_id).key_id == old.key_id

    def test_revoking_again_keeps_the_first_time(self, accounts: Accounts, clock: Clock) -> None:
        accounts.create("laptop")
        first = accounts.revoke("laptop")
        clock.advance(60)
        assert first.revoked == START
        assert accounts.revoke("laptop") == first


class TestRotate:
    def test_the_new_secret_works_and_the_old_one_does_not(self, accounts: Accounts) -> None:
        old, old_secret = accounts.create("laptop", ["usage:write"])
        new, new_secret = accounts.rotate(old.key_id)
        assert accounts.verify(new_secret).key_id == new.key_id != old.key_id
        assert (new.name, new.scopes) == ("laptop", ("usage:write",))
        assert not works(accounts, old_secret)

    def test_both_secrets_work_until_the_exact_end_of_a_grace_period(self, accounts: Accounts, clock: Clock) -> None:
        _, old_secret = accounts.create("laptop")
        _, new_secret = accounts.rotate("laptop", grace_s=3600)
        clock.advance(3599)
        assert works(accounts, old_secret)
        assert works(accounts, new_secret)
        clock.advance(1)
        assert not works(accounts, old_secret)
        assert works(accounts, new_secret)

    def test_a_key_in_its_grace_period_can_be_revoked_at_once(self, accounts: Accounts) -> None:
        old, old_secret = accounts.create("laptop")
        accounts.rotate("laptop", grace_s=3600)
        accounts.revoke(old.key_id)
        assert not works(accounts, old_secret)

    def test_the_lifetime_begins_anew(self, accounts: Accounts, clock: Clock) -> None:
        accounts.create("laptop", ttl_s=100)
        clock.advance(90)
        new, _ = accounts.rotate("laptop")
        assert new.expires == START + timedelta(seconds=190)

    def test_a_revoked_or_replaced_key_is_not_rotated(self, accounts: Accounts) -> None:
        replaced, _ = accounts.create("laptop")
        accounts.rotate(replaced.key_id, grace_s=3600)
        revoked, _ = accounts.create("desk")
        accounts.revoke("desk")
        before = accounts.list()
        for key in (replaced, revoked):
            with pytest.raises(InvalidRequest, match="revoked or has been replaced"):
                accounts.rotate(key.key_id)
        assert accounts.list() == before

    @pytest.mark.parametrize("grace_s", [-1.0, 1e300, float("nan")])
    def test_a_grace_period_that_makes_no_sense_is_refused(self, accounts: Accounts, grace_s: float) -> None:
        _, secret = accounts.create("laptop")
        with pytest.raises(InvalidParameter):
            accounts.rotate("laptop", grace_s)
        assert works(accounts, secret)


class TestFirstKey:
    def test_is_made_when_there_has_never_been_one(self, accounts: Accounts) -> None:
        secret = accounts.ensure_first_key()
        assert accounts.verify(secret).scopes == ("member",)
        assert accounts.ensure_first_key() is None
        assert len(accounts.list()) == 1

    def test_is_not_made_again_after_every_key_was_revoked(self, accounts: Accounts) -> None:
        accounts.create("laptop")
        accounts.revoke("laptop")
        assert accounts.ensure_first_key() is None

    def test_is_not_made_beside_a_static_key(self, store: MemoryKeyStore, clock: Clock) -> None:
        assert Accounts(store, clock, "static").ensure_first_key() is None
        assert not store.all()


class TestRequire:
    @staticmethod
    def allows(accounts: Accounts, scopes: tuple[str, ...], scope: str) -> bool:
        try:
            accounts.require(ApiKey("id", "prefix", "name", scopes, START), scope)
        except InsufficientScope:
            return False
        return True

    @pytest.mark.parametrize("role", ["member", "admin", "owner"])
    def test_every_role_may_transcribe_and_see_models(self, accounts: Accounts, role: str) -> None:
        assert self.allows(accounts, (role,), "usage:write")
        assert self.allows(accounts, (role,), "project:read")

    @pytest.mark.parametrize(
        ("scope", "least"),
        [
            ("keys:write", "member"),
            ("usage:read", "member"),
            ("members:write:kick", "admin"),
            ("admins:read:invites", "admin"),
            ("owners:read", "admin"),
            ("billing:read", "admin"),
            ("owners:write", "owner"),
            ("billing:write", "owner"),
            ("project:write:destroy", "owner"),
        ],
    )
    def test_a_scope_belongs_to_a_role_and_those_above_it(self, accounts: Accounts, scope: str, least: str) -> None:
        roles = ["member", "admin", "owner"]
        assert [self.allows(accounts, (role,), scope) for role in roles] == [
            roles.index(role) >= roles.index(least) for role in roles
        ]

    def test_a_scope_stands_for_itself_alone(self, accounts: Accounts) -> None:
        assert self.allows(accounts, ("usage:read", "usage:write"), "usage:write")
        assert not self.allows(accounts, ("usage:read",), "usage:write")
        assert not self.allows(accounts, ("project:write",), "project:write:destroy")
        assert not self.allows(accounts, ("owners:read",), "owner")
        assert not self.allows(accounts, (), "usage:write")

    def test_the_member_set_is_the_contracts(self) -> None:
        assert SCOPE_SETS["member"] == {
            "project:read", "project:write", "keys:read", "keys:write", "usage:read", "usage:write"
        }  # fmt: skip

    def test_every_scope_of_a_set_can_be_given_to_a_key(self, accounts: Accounts) -> None:
        key, _ = accounts.create("all", sorted(KNOWN_SCOPES))
        assert self.allows(accounts, key.scopes, "self-hosted:product:engine")


class TestOnADatabase:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        url = f"sqlite:///{tmp_path / 'keys.db'}"
        upgrade(url)
        return url

    def test_no_secret_is_in_the_files_of_the_database(self, url: str, tmp_path: Path, clock: Clock) -> None:
        accounts = Accounts(SqlKeyStore(open_database(url)), clock, "a static key")
        key, secret = accounts.create("laptop")
        new, new_secret = accounts.rotate("laptop", grace_s=60)
        assert works(accounts, new_secret)
        files = list(tmp_path.iterdir())
        content = b"".join(path.read_bytes() for path in files)
        accounts.close()
        content += (tmp_path / "keys.db").read_bytes()
        assert {path.name for path in files} == {"keys.db", "keys.db-wal", "keys.db-shm"}
        for hidden in (secret, new_secret, "a static key"):
            assert hidden.encode() not in content
            assert hidden[8:].encode() not in content
            assert bytes.fromhex(secret) not in content
        assert key.prefix.encode() in content
        assert new.prefix.encode() in content

    def test_a_key_revoked_by_another_process_is_refused_by_the_next_call(self, url: str, clock: Clock) -> None:
        accounts = Accounts(SqlKeyStore(open_database(url)), clock)
        key, secret = accounts.create("laptop")
        assert works(accounts, secret)
        preparation = (
            "from datetime import datetime, timezone\n"
            "from app.services.accounts import Accounts\n"
            "from app.storage.database import open_database\n"
            "from app.storage.stores import SqlKeyStore\n"
        )
        action = "store = SqlKeyStore(open_database(sys.argv[1]))\n"
        action += "Accounts(store, lambda: datetime(2026, 11, 20, tzinfo=timezone.utc)).revoke('laptop')"
        race(preparation, action, url, 1)
        assert not works(accounts, secret)
        assert accounts.find(key.key_id).status(clock()) is KeyStatus.REVOKED
        accounts.close()

    def test_of_servers_that_start_together_one_makes_the_first_key(self, tmp_path: Path, clock: Clock) -> None:
        url = f"sqlite:///{tmp_path / 'fresh' / 'keys.db'}"
        preparation = (
            "import alembic.command\n"
            "from datetime import datetime, timezone\n"
            "from app.services.accounts import Accounts\n"
            "from app.storage.database import open_database\n"
            "from app.storage.migrate import upgrade\n"
            "from app.storage.stores import SqlKeyStore\n"
        )
        action = (
            "upgrade(sys.argv[1])\n"
            "accounts = Accounts(SqlKeyStore(open_database(sys.argv[1])), lambda: datetime.now(timezone.utc))\n"
            "print(accounts.ensure_first_key())\n"
            "for i in range(20): accounts.create(f'key {i}')\n"
        )
        printed = race(preparation, action, url, 2)
        accounts = Accounts(SqlKeyStore(open_database(url)), clock)
        (secret,) = [each for each in printed if each != "None"]
        assert works(accounts, secret)
        assert len(accounts.list()) == 41
        accounts.close()


def test_an_unreachable_store_is_an_error_of_the_service_and_not_a_refusal(
    accounts: Accounts, store: MemoryKeyStore
) -> None:
    _, secret = accounts.create("laptop")
    store.is_down = True
    with pytest.raises(SttError, match="cannot be reached") as caught:
        accounts.verify(secret)
    assert not isinstance(caught.value, InvalidCredentials)
