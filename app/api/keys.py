"""``/v1/projects/{id}/keys``: the keys that ``whisperapi keys`` shows too (contract 4.3)."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.dependencies import CurrentServices
from app.api.management import Body, as_json, checked_id, holding
from app.dialects.deepgram_management import parse_new_key, render_key, render_keys, render_message, render_new_key
from app.dialects.deepgram_query import Query
from app.domain.errors import Forbidden, InvalidParameter, InvalidRequest, NotFound
from app.domain.ports import ApiKey, KeyStatus
from app.services.accounts import KNOWN_SCOPES, SCOPE_SETS, Accounts, granted_scopes

router = APIRouter(tags=["management"], prefix="/v1/projects/{project_id}/keys")

KeyReader = Annotated[ApiKey, holding("keys:read")]
KeyWriter = Annotated[ApiKey, holding("keys:write")]

_SHOWN = (KeyStatus.ACTIVE.value, KeyStatus.EXPIRED.value)


@router.get("", summary="List the keys")
async def list_keys(request: Request, _: KeyReader, services: CurrentServices) -> Response:
    """Oldest first, without their secrets; ``status`` is ``active`` or ``expired``. Deleted keys are not listed."""
    query = Query.parse(request.scope["query_string"])
    wanted = _SHOWN if query.text("status") is None else (query.choice("status", _SHOWN, _SHOWN[0]),)
    now = datetime.now(timezone.utc)
    keys = await run_in_threadpool(services.accounts.list)
    return as_json(render_keys([key for key in keys if key.status(now).value in wanted]))


@router.post("", summary="Create a key")
async def create_key(body: Body, creator: KeyWriter, services: CurrentServices) -> Response:
    """The answer holds the secret, this once. A key gets no scope that its creator lacks."""
    asked = parse_new_key(body)
    needed = (granted_scopes(asked.scopes) & KNOWN_SCOPES) - SCOPE_SETS.keys()
    if not needed <= granted_scopes(creator.scopes):
        raise Forbidden("A key cannot be given scopes that its creator lacks.")

    def create() -> tuple[ApiKey, str]:
        return services.accounts.create(
            asked.comment, asked.scopes, tags=asked.tags, expires=asked.expires, ttl_s=asked.ttl_s
        )

    try:
        key, secret = await run_in_threadpool(create)
    except InvalidParameter as error:  # of the body: nothing is wrong with the query
        raise InvalidRequest(error.message) from None
    return as_json(render_new_key(key, secret))


@router.get("/{key_id}", summary="Show one key")
async def show_key(key_id: str, _: KeyReader, services: CurrentServices) -> Response:
    """Without its secret."""
    return as_json(render_key(await run_in_threadpool(_living, services.accounts, checked_id(key_id))))


@router.delete("/{key_id}", summary="Delete a key")
async def delete_key(key_id: str, _: KeyWriter, services: CurrentServices) -> Response:
    """It opens nothing from the next request on, and its tokens neither."""

    def end() -> None:
        services.accounts.revoke(_living(services.accounts, checked_id(key_id)).key_id)

    await run_in_threadpool(end)
    return as_json(render_message("The key has been deleted."))


def _living(accounts: Accounts, key_id: str) -> ApiKey:
    """The key of this id and of no other name."""
    now = datetime.now(timezone.utc)
    for key in accounts.list():
        if key.key_id == key_id and key.status(now) is not KeyStatus.REVOKED:
            return key
    raise NotFound("A key with the submitted ID cannot be found.")
