"""Keys: create, verify, revoke, rotate, and what each may do."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from app.domain.errors import (
    Forbidden,
    InsufficientScope,
    InvalidCredentials,
    InvalidParameter,
    InvalidRequest,
    NotFound,
    SttError,
)
from app.domain.ports import ApiKey, KeyStatus, KeyStore
from app.services.tokens import DEFAULT_TTL_S, Tokens

STATIC_KEY_ID = str(UUID(int=0))
"""Id of the key that the operator set in the configuration; it is in no store."""

DEFAULT_SCOPES = ("member",)
MAX_NAME_LENGTH = 200
MAX_TAGS = 50
MAX_TAG_LENGTH = 128
PREFIX_LENGTH = 8
TOUCH_INTERVAL_S = 60.0
"""Seconds between two recorded uses of one key: a write for every request would tell nobody more."""

TOKEN_DOTS = 2
"""What tells a token from a key: it has three parts."""

_SECRET = re.compile(r"[0-9a-f]{40}")  # Deepgram's Python SDK 2.12 accepts no other form (contract 1.1)
_log = logging.getLogger(__name__)


def _people(group: str, *actions: str) -> tuple[str, ...]:
    details = {"read": ("", ":invites", ":scopes"), "write": ("", ":invites", ":scopes", ":kick")}
    return tuple(f"{group}:{action}{detail}" for action in actions for detail in details[action])


_MEMBER = ("project:read", "project:write", "keys:read", "keys:write", "usage:read", "usage:write")
_ADMIN = (
    *_MEMBER, *_people("members", "read", "write"), *_people("admins", "read", "write"), *_people("owners", "read"),
    "billing:read",
)  # fmt: skip
_OWNER = (*_ADMIN, "project:write:settings", "project:write:destroy", *_people("owners", "write"), "billing:write")
_PRODUCTS = ("api", "engine", "license-proxy", "dgtools", "billing", "hotpepper", "metrics-server")

SCOPE_SETS: dict[str, frozenset[str]] = {
    "member": frozenset(_MEMBER),
    "admin": frozenset(_ADMIN),
    "owner": frozenset(_OWNER),
    "self-hosted:products": frozenset(f"self-hosted:product:{product}" for product in _PRODUCTS),
}
"""Names that stand for a set of scopes (contract 4.3)."""

KNOWN_SCOPES = frozenset(SCOPE_SETS).union(*SCOPE_SETS.values())


class Accounts:
    """Keys over a store. ``clock`` returns aware UTC; ``static_key`` is one further secret, of any form.

    ``tokens`` are accepted in the place of the keys that handed them out, for what tokens may do; None: none are.

    Every method blocks for about a millisecond (a verification 0.2 ms): call them in a thread. Nothing is cached, so a key
    that another process revokes is refused from the next request on.
    """

    def __init__(
        self, store: KeyStore, clock: Callable[[], datetime], static_key: str = "", tokens: Tokens | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens = tokens
        self._static_hash = _hash(static_key) if static_key else None
        self._static = ApiKey(STATIC_KEY_ID, "", "static key", ("owner",), clock())
        self._touched: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._writer: ThreadPoolExecutor | None = None
        self._is_closed = False

    def create(
        self,
        name: str = "",
        scopes: Iterable[str] = DEFAULT_SCOPES,
        *,
        tags: Iterable[str] = (),
        expires: datetime | None = None,
        ttl_s: float | None = None,
    ) -> tuple[ApiKey, str]:
        """Add a key and return it with its secret, which is not kept and can never be shown again.

        ``expires`` (aware) or ``ttl_s`` (seconds from now) end it; neither: it lasts. Raises ``InvalidParameter``.
        """
        labels = _checked_tags(tags)
        key, secret = self._new(_checked_name(name), _checked_scopes(scopes), self._expiry(expires, ttl_s), labels)
        self._store.add(key, _hash(secret))
        return key, secret

    def ensure_first_key(self) -> str | None:
        """Add a key if the store has never held one, and return its secret. None: there are keys, or a static one.

        Of several servers that start together on one store exactly one gets a secret.
        """
        if self._static_hash is not None:
            return None
        key, secret = self._new("first key", DEFAULT_SCOPES, None)
        return secret if self._store.add_first(key, _hash(secret)) else None

    def verify(self, secret: str | None) -> ApiKey:
        """The key that ``secret`` opens. Its use is recorded later, in another thread.

        Raises ``InvalidCredentials`` alike for a missing, malformed, unknown, revoked or expired one.
        """
        if not secret:
            raise InvalidCredentials
        secret_hash = _hash(secret)
        if self._static_hash is not None and hmac.compare_digest(secret_hash, self._static_hash):
            return self._static
        if self._tokens is not None and secret.count(".") == TOKEN_DOTS:
            return self._verify_token(secret, self._tokens)
        if _SECRET.fullmatch(secret) is None:
            raise InvalidCredentials
        return self._in_use(self._store.find(secret_hash))

    def grant(self, key: ApiKey, ttl_s: int = DEFAULT_TTL_S) -> str:
        """A token that stands for ``key`` during the next ``ttl_s`` seconds, for what tokens may do.

        Raises ``Forbidden`` for a key without everything that a member may do, ``InvalidParameter`` for a wrong time.
        """
        if self._tokens is None or not SCOPE_SETS["member"] <= granted_scopes(key.scopes):
            raise Forbidden
        return self._tokens.grant(key.key_id, ttl_s)

    def require(self, key: ApiKey, scope: str) -> None:
        """Raise ``InsufficientScope`` unless the key has ``scope``, by itself or through a role."""
        if scope not in granted_scopes(key.scopes):
            raise InsufficientScope

    def list(self) -> Sequence[ApiKey]:
        """Every key in the store, whatever its status, oldest first."""
        return self._store.all()

    def find(self, reference: str) -> ApiKey:
        """The key that ``reference`` names: its id, its prefix, its name or the secret itself. Recording no use.

        Prefix and name find a key that is not revoked before one that is. Raises ``NotFound`` when no key matches and
        ``InvalidRequest`` when several do.
        """
        by_id = self._store.get(reference)
        by_secret = self._store.find(_hash(reference)) if _SECRET.fullmatch(reference) else None
        if (exact := by_id or by_secret) is not None:
            return exact
        matches = [key for key in self._store.all() if reference and reference in (key.prefix, key.name)]
        now = self._clock()
        live = [key for key in matches if key.status(now) is not KeyStatus.REVOKED]
        if len(live) > 1:
            ids = ", ".join(key.key_id for key in live)
            raise InvalidRequest(f"Several keys match; name one by its id: {ids}.")
        if not matches:
            raise NotFound("No key has this id, prefix or name.")
        return live[0] if live else matches[-1]

    def revoke(self, reference: str) -> ApiKey:
        """End the key that ``find`` finds now, and return it. Ending a revoked key again changes nothing."""
        key = self.find(reference)
        self._store.revoke(key.key_id, self._clock())
        return self._store.get(key.key_id) or key

    def rotate(self, reference: str, grace_s: float = 0.0) -> tuple[ApiKey, str]:
        """Replace a key: a new secret with the same name, scopes and lifetime; the old one ends after ``grace_s`` seconds.

        Raises as ``find`` does, and ``InvalidRequest`` for a key that is revoked or has been replaced already.
        """
        if grace_s < 0:
            raise InvalidParameter("A grace period cannot be negative.", parameter="grace")
        old = self.find(reference)
        lifetime_s = None if old.expires is None else (old.expires - old.created).total_seconds()
        successor, secret = self._new(old.name, old.scopes, self._expiry(None, lifetime_s), old.tags)
        if not self._store.replace(old.key_id, _later(self._clock(), grace_s), successor, _hash(secret)):
            raise InvalidRequest("The key is revoked or has been replaced already; create a new one.")
        return successor, secret

    def close(self) -> None:
        """Write what is still to be recorded, stop recording and close the store. ``verify`` would go on working."""
        with self._lock:
            self._is_closed = True
        if self._writer is not None:
            self._writer.shutdown(wait=True)
        self._store.close()
        if self._tokens is not None:
            self._tokens.close()

    def _new(
        self, name: str, scopes: tuple[str, ...], expires: datetime | None, tags: tuple[str, ...] = ()
    ) -> tuple[ApiKey, str]:
        secret = secrets.token_hex(20)
        return ApiKey(str(uuid4()), secret[:PREFIX_LENGTH], name, scopes, self._clock(), expires, tags=tags), secret

    def _in_use(self, key: ApiKey | None) -> ApiKey:
        now = self._clock()
        if key is None or key.status(now) is not KeyStatus.ACTIVE:
            raise InvalidCredentials
        self._note_use(key, now)
        return key

    def _verify_token(self, token: str, tokens: Tokens) -> ApiKey:
        """The key that handed the token out, with what the token may do. A token ends with its key."""
        claims = tokens.verify(token)
        if claims.key_id != STATIC_KEY_ID:
            key = self._in_use(self._store.get(claims.key_id))
        elif self._static_hash is not None:
            key = self._static
        else:
            raise InvalidCredentials
        return replace(key, scopes=claims.scopes, expires=claims.expires)

    def _expiry(self, expires: datetime | None, ttl_s: float | None) -> datetime | None:
        if expires is not None and ttl_s is not None:
            raise InvalidParameter("Give an expiry date or a time to live, not both.", parameter="expires")
        now = self._clock()
        if ttl_s is not None:
            expires = _later(now, ttl_s)
        if expires is not None and (expires.tzinfo is None or expires <= now):
            raise InvalidParameter("The expiry must lie in the future and name its time zone.", parameter="expires")
        return expires

    def _note_use(self, key: ApiKey, now: datetime) -> None:
        """Hand the write to another thread: the database may be busy, and the answer must not wait for it."""
        with self._lock:
            last = max(filter(None, (key.last_used, self._touched.get(key.key_id))), default=None)
            if self._is_closed or (last is not None and (now - last).total_seconds() < TOUCH_INTERVAL_S):
                return
            self._touched[key.key_id] = now
            self._writer = self._writer or ThreadPoolExecutor(1, thread_name_prefix="key-use")
            self._writer.submit(self._touch, key.key_id, now)

    def _touch(self, key_id: str, now: datetime) -> None:
        try:
            self._store.touch(key_id, now)
        except SttError:
            _log.warning("the last use of a key could not be recorded")


def granted_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes and everything that roles among them stand for."""
    held = frozenset(scopes)
    return held.union(*(SCOPE_SETS.get(scope, ()) for scope in held))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _later(now: datetime, seconds: float) -> datetime:
    try:
        return now + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise InvalidParameter("The duration is too long.", parameter="expires") from None


def _checked_name(name: str) -> str:
    name = name.strip()
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():  # control characters would reach the terminal that lists keys
        raise InvalidParameter(f"A key's name is at most {MAX_NAME_LENGTH} printable characters.", parameter="name")
    return name


def _checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(tags))
    is_usable = all(0 < len(tag) <= MAX_TAG_LENGTH and tag.isprintable() for tag in wanted)
    if len(wanted) > MAX_TAGS or not is_usable:
        message = f"A key takes at most {MAX_TAGS} tags of at most {MAX_TAG_LENGTH} printable characters."
        raise InvalidParameter(message, parameter="tags")
    return wanted


def _checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in KNOWN_SCOPES]
    if unknown or not wanted:
        problem = f"unknown: {unknown[0][:60]!a}" if unknown else "none was given"
        raise InvalidParameter(f"A key needs scopes such as member, owner or usage:write; {problem}.", parameter="scopes")
    return wanted
