"""The credential of a request -> a verified key (contract 1.1)."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from app.domain.errors import InvalidCredentials
from app.domain.ports import ApiKey
from app.services.accounts import Accounts

_SCHEMES = frozenset({"token", "bearer"})


def credential(connection: HTTPConnection) -> str:
    """The secret from ``Authorization: Token|Bearer <secret>``, either word in any case.

    Raises ``InvalidCredentials`` when there is none or it is malformed.
    """
    scheme, _, secret = connection.headers.get("authorization", "").strip().partition(" ")
    secret = secret.strip()
    if scheme.lower() not in _SCHEMES or not secret:
        raise InvalidCredentials
    return secret


async def authorise(connection: HTTPConnection, accounts: Accounts | None, scope: str) -> ApiKey | None:
    """The key behind the request, holding ``scope``; None when the server runs without keys (``accounts`` is None)."""
    if accounts is None:
        connection.state.authenticated = True
        return None
    key = await run_in_threadpool(accounts.verify, credential(connection))
    connection.state.authenticated = True
    accounts.require(key, scope)
    return key
