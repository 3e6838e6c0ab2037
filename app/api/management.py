"""Who may use the management routes, and the ids in their paths (contract 1.3, 4)."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.api.auth import credential
from app.domain.errors import ClientGone, InvalidCredentials, NotFound, PayloadTooLarge, ProjectNotFound
from app.domain.ports import ApiKey
from app.domain.project import PROJECT_ID
from app.services.accounts import STATIC_KEY_ID
from app.services.bundle import Services
from app.settings import Settings

BODY_BYTES = 64 * 1024
"""The longest body of a management request is a key with fifty tags."""

ANY = ""
"""The scope of what every key may do."""


async def caller(request: Request, scope: str = ANY) -> ApiKey:
    """The key behind the request, holding ``scope``; one that may do everything where the server runs without keys."""
    settings = cast("Settings", request.app.state.settings)
    accounts = cast("Services", request.app.state.services).accounts
    if not settings.auth:
        request.state.authenticated = True
        return ApiKey(STATIC_KEY_ID, "", "no key", ("owner",), datetime.now(timezone.utc))
    try:
        key = await run_in_threadpool(accounts.verify, credential(request))
    except InvalidCredentials:
        raise InvalidCredentials("Authentication failed.") from None
    request.state.authenticated = True
    if scope != ANY:
        accounts.require(key, scope)
    return key


def holding(scope: str) -> Any:
    """The dependency of a route below ``/v1/projects``: the caller has ``scope``, and the project in the path is ours."""

    async def check(request: Request) -> ApiKey:
        key = await caller(request, scope)
        project_id = request.path_params.get("project_id")
        if project_id is not None and checked_id(project_id, ProjectNotFound) != PROJECT_ID:
            raise ProjectNotFound
        return key

    return Depends(check)


def checked_id(text: str, unknown: type[NotFound | ProjectNotFound] = NotFound) -> str:
    """A UUID in its usual form. Raises ``unknown`` for what is none, in the words of Deepgram's parser."""
    try:
        return str(UUID(text))
    except ValueError:
        raise unknown(f"UUID parsing failed: {_problem(text)}") from None


async def small_body(request: Request) -> bytes:
    """The body of a request that holds a few fields."""
    found = bytearray()
    try:
        async for piece in request.stream():
            found += piece
            if len(found) > BODY_BYTES:
                raise PayloadTooLarge
    except ClientDisconnect:
        raise ClientGone from None
    return bytes(found)


def as_json(body: bytes) -> Response:
    """An answer that a dialect has rendered."""
    return Response(body, media_type="application/json")


Body = Annotated[bytes, Depends(small_body)]
ProjectReader = Annotated[ApiKey, holding("project:read")]


def _problem(text: str) -> str:
    strange = next(((place, each) for place, each in enumerate(text, 1) if each not in "0123456789abcdefABCDEF-"), None)
    if strange is not None:
        place, each = strange
        shown = each if each.isprintable() and each.isascii() else "?"
        expected = "expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-]"
        return f"invalid character: {expected}, found `{shown}` at {place}"
    return f"invalid length: expected length 32 for simple format, found {len(text)}"
