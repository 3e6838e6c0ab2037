"""``/v1/auth``: short-lived tokens, what a credential is worth, and test keys for development (contract 1.4, 1.5)."""

from __future__ import annotations

import ipaddress

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.dependencies import CurrentServices, CurrentSettings
from app.api.errors import UNKNOWN_ROUTE
from app.api.management import Body, as_json, caller
from app.dialects.deepgram_management import parse_ttl, render_grant, render_new_key, render_token
from app.domain.errors import Forbidden, InvalidParameter, InvalidRequest, NotFound
from app.services.tokens import DEFAULT_TTL_S

TEST_KEY_TTL_S = 3600
TEST_KEY_NAME = "test token"
TEST_KEY_SCOPES = ("usage:write",)

router = APIRouter(tags=["management"])

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@router.post("/v1/auth/grant", summary="Hand out a short-lived token")
async def grant(request: Request, body: Body, services: CurrentServices) -> Response:
    """It transcribes for ``ttl_seconds`` (1 to 3600, else 30) and does nothing else. Needs all that a member may do."""
    key = await caller(request)
    ttl_s = parse_ttl(body, DEFAULT_TTL_S)
    try:
        token = await run_in_threadpool(services.accounts.grant, key, ttl_s)
    except InvalidParameter as error:  # of the body: nothing is wrong with the query
        raise InvalidRequest(error.message) from None
    return as_json(render_grant(token, ttl_s))


@router.get("/v1/auth/token", summary="Check a credential")
async def show_token(request: Request) -> Response:
    """200 and what it may do, or 401."""
    return as_json(render_token(await caller(request)))


@router.post("/v1/auth/test-token", summary="Make a key for an hour, for development")
@router.post("/v1/auth", include_in_schema=False)
async def make_test_key(request: Request, services: CurrentServices, settings: CurrentSettings) -> Response:
    """404 unless ``WHISPERAPI_TEST_TOKENS`` is set. For programs on this machine: no proxies, no pages from elsewhere."""
    if not settings.test_tokens:
        raise NotFound(UNKNOWN_ROUTE)
    if not _is_from_here(request):
        raise Forbidden("Test tokens are made for programs on the server's own machine only.")
    key, secret = await run_in_threadpool(
        lambda: services.accounts.create(TEST_KEY_NAME, TEST_KEY_SCOPES, ttl_s=TEST_KEY_TTL_S)
    )
    return as_json(render_new_key(key, secret))


def _is_from_here(request: Request) -> bool:
    """Whether the connection, the name it was made to and the page that made it, if any, are all of this machine.

    A proxy's connections come from this machine too, and so do those of any web page that a browser here has open.
    """
    client = "" if request.client is None else request.client.host
    origin = request.headers.get("origin")
    hosts = [client, request.url.hostname or ""] + ([] if origin is None else [_host_of(origin)])
    return all(_is_loopback(host) for host in hosts) and not any(name in request.headers for name in _FORWARDED)


def _host_of(origin: str) -> str:
    host = origin.partition("://")[2]
    return host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
