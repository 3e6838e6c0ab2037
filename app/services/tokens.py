"""Short-lived tokens that a key hands out: JSON Web Tokens (RFC 7519), signed with a secret that only the servers know."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import jwt

from app.domain.errors import InvalidCredentials, InvalidParameter
from app.domain.tokens import SecretStore, SigningSecret

TOKEN_SCOPES = ("usage:write",)
"""What a token may do: transcribe, and nothing that changes anything (contract 1.4)."""

DEFAULT_TTL_S = 30
MAX_TTL_S = 3600

ALGORITHM = "HS256"
SECRET_BYTES = 32
"""As many as the hash has (RFC 7518, 3.2)."""

_CLAIMS = ("exp", "iat", "jti", "sub", "project_id", "scopes")


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a valid token says: the key that handed it out, and until when (aware UTC) it may do what."""

    key_id: str
    scopes: tuple[str, ...]
    expires: datetime


class Tokens:
    """Over a store. ``clock`` returns aware UTC; ``project_id`` is what tokens are for. Every method blocks for a read."""

    def __init__(self, store: SecretStore, clock: Callable[[], datetime], project_id: str) -> None:
        self._store = store
        self._clock = clock
        self._project_id = project_id

    def prepare(self) -> None:
        """Make the first secret, if there is none."""
        self._store.current(self._new())

    def grant(self, key_id: str, ttl_s: int = DEFAULT_TTL_S) -> str:
        """A token of ``key_id`` for the next ``ttl_s`` seconds, 1 to 3600. Raises ``InvalidParameter`` for others."""
        if not 1 <= ttl_s <= MAX_TTL_S:
            raise InvalidParameter(f"ttl_seconds: expected 1 to {MAX_TTL_S}", parameter="ttl_seconds")
        secret = self._store.current(self._new())
        now = int(self._clock().timestamp())
        claims: dict[str, Any] = {
            "iat": now,
            "exp": now + ttl_s,
            "jti": str(uuid4()),
            "sub": key_id,
            "project_id": self._project_id,
            "scopes": list(TOKEN_SCOPES),
        }
        return jwt.encode(claims, bytes.fromhex(secret.secret), algorithm=ALGORITHM, headers={"kid": secret.secret_id})

    def verify(self, token: str) -> TokenClaims:
        """What the token says. Raises ``InvalidCredentials`` alike for one that is forged, malformed or has run out."""
        now = self._clock()
        try:
            secret = self._store.get(str(jwt.get_unverified_header(token).get("kid", "")))
            if secret is None or (secret.retires is not None and secret.retires <= now):
                raise InvalidCredentials
            claims = jwt.decode(
                token,
                bytes.fromhex(secret.secret),
                algorithms=[ALGORITHM],
                # the times are compared with our clock below, not with the library's
                options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            expires = datetime.fromtimestamp(int(claims["exp"]), timezone.utc)
        except (jwt.PyJWTError, ValueError, OverflowError):
            raise InvalidCredentials from None
        if expires <= now or claims["project_id"] != self._project_id:
            raise InvalidCredentials
        return TokenClaims(str(claims["sub"]), tuple(claims["scopes"]), expires)

    def rotate(self, grace_s: float = 0.0) -> datetime:
        """Sign with a new secret from now on; tokens of the old one are good for ``grace_s`` seconds more at most.

        Returns when the old secret retires. Raises ``InvalidParameter`` for a negative time.
        """
        if grace_s < 0:
            raise InvalidParameter("A grace period cannot be negative.", parameter="grace")
        try:
            retires = self._clock() + timedelta(seconds=grace_s)
        except OverflowError:
            raise InvalidParameter("The grace period is too long.", parameter="grace") from None
        self._store.replace(self._new(), retires)
        return retires

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _new(self) -> SigningSecret:
        return SigningSecret(str(uuid4()), secrets.token_hex(SECRET_BYTES), self._clock())
