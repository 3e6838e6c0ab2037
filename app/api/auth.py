"""The credential of a request -> a verified key (contract 1.1)."""

from __future__ import annotations

from itertools import pairwise

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from app.domain.errors import InvalidCredentials
from app.domain.ports import ApiKey
from app.services.accounts import Accounts
from app.services.usage_entry import current_usage

LISTEN_SCOPE = "usage:write"
"""What it takes to transcribe."""

_SCHEMES = frozenset({"token", "bearer"})


def credential(connection: HTTPConnection) -> str:
    """The secret from ``Authorization: Token|Bearer <secret>``, or from the WebSocket subprotocols ``token, <secret>``.

    Either word in any case. Raises ``InvalidCredentials`` when there is none or it is malformed.
    """
    header = connection.headers.get("authorization")
    if header is None:
        return _offered_secret(connection)
    scheme, _, secret = header.strip().partition(" ")
    secret = secret.strip()
    if scheme.lower() not in _SCHEMES or not secret:
        raise InvalidCredentials
    return secret


def chosen_subprotocol(connection: HTTPConnection) -> str | None:
    """What the handshake answers: the scheme word as it was offered, never the secret; None if nothing was offered.

    Browsers fail without an answer, and other clients with an unasked one (contract 1.1).
    """
    offered: list[str] = connection.scope.get("subprotocols", [])
    return next((word for word in offered if word.lower() in _SCHEMES), offered[0] if offered else None)


def _offered_secret(connection: HTTPConnection) -> str:
    offered: list[str] = connection.scope.get("subprotocols", [])
    for word, secret in pairwise(offered):
        if word.lower() in _SCHEMES:
            return secret
    raise InvalidCredentials


async def authorise(connection: HTTPConnection, accounts: Accounts | None, scope: str) -> ApiKey | None:
    """The key behind the request, holding ``scope``; None when the server runs without keys (``accounts`` is None)."""
    return await authorise_secret(connection, accounts, None if accounts is None else credential(connection), scope)


async def authorise_secret(
    connection: HTTPConnection, accounts: Accounts | None, secret: str | None, scope: str
) -> ApiKey | None:
    """The same where the secret comes in another way. Requests that may transcribe count as usage of their key."""
    key = None if accounts is None else await run_in_threadpool(accounts.verify, secret)
    connection.state.authenticated = True
    if key is not None and accounts is not None:
        accounts.require(key, scope)
    if scope == LISTEN_SCOPE and (usage := current_usage()) is not None:
        usage.note_caller("" if key is None else key.key_id)
    return key
