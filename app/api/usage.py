"""``/v1/projects/{id}/requests`` and ``/usage``: what this server has done, from its own record (contract 4.5)."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.dependencies import CurrentServices
from app.api.management import as_json, checked_id, holding
from app.dialects import deepgram_usage as dialect
from app.domain.ports import ApiKey
from app.services.usage import Grouping, Sums, UsageQuestion

router = APIRouter(tags=["management"], prefix="/v1/projects/{project_id}")

UsageReader = Annotated[ApiKey, holding("usage:read")]

_GROUPINGS = {
    "accessor": Grouping.KEY,
    "models": Grouping.MODEL_UUID,
    "method": Grouping.METHOD,
    "tags": Grouping.TAG,
    "feature_set": Grouping.FEATURES,
}
_CONSTANT = {"endpoint": dialect.ENDPOINT, "deployment": dialect.DEPLOYMENT}
"""Groupings by what all requests have in common."""


@router.get("/requests", summary="List the requests")
async def list_requests(request: Request, _: UsageReader, services: CurrentServices) -> Response:
    """Newest first, ``limit`` of them from page ``page`` (from 0); by time, key, id, method and status."""
    page = dialect.parse_page(request.scope["query_string"])
    records = () if page.nothing else await run_in_threadpool(services.usage.requests, page.wanted, page.limit, page.page)
    return as_json(dialect.render_requests(records, page))


@router.get("/requests/{request_id}", summary="Show one request")
async def show_request(request_id: str, _: UsageReader, services: CurrentServices) -> Response:
    """What was asked, how long the sound was, what became of it. Nothing of what was said."""
    return as_json(dialect.render_request(await run_in_threadpool(services.usage.request, checked_id(request_id))))


@router.get("/usage", summary="Sum up by day")
async def sum_up(request: Request, _: UsageReader, services: CurrentServices) -> Response:
    """The last 30 days, or from ``start`` to ``end``; by key, method, model, tag and feature."""
    asked = _asked(request)
    days = [] if asked.nothing else await run_in_threadpool(services.usage.by_day, _question(asked))
    return as_json(dialect.render_usage([_total(day, day, sums) for day, sums in days], asked))


@router.get("/usage/breakdown", summary="Sum up by groups")
async def break_down(request: Request, _: UsageReader, services: CurrentServices) -> Response:
    """As ``usage``, summed by ``grouping``; without one, all together."""
    asked = _asked(request)
    grouping = _GROUPINGS.get(asked.grouping or "")
    if asked.nothing:
        groups: list[tuple[str, Sums]] = []
    elif grouping is None:
        total = await run_in_threadpool(services.usage.total, _question(asked))
        groups = [(_CONSTANT.get(asked.grouping or "", ""), total)] if total.requests else []
    else:
        groups = await run_in_threadpool(services.usage.grouped, _question(asked), grouping)
    first, last = asked.first.isoformat(), asked.last.isoformat()
    return as_json(dialect.render_breakdown([_total(first, last, sums, value) for value, sums in groups], asked))


@router.get("/usage/fields", summary="List what occurs")
async def list_fields(request: Request, _: UsageReader, services: CurrentServices) -> Response:
    """Tags, models, methods, features and languages of the requests on record."""
    asked = _asked(request)
    found = await run_in_threadpool(services.usage.fields, asked.wanted)
    models = [
        {"name": model.name, "language": model.language, "version": model.version, "model_id": model.uuid}
        for model in found.models
    ]
    return as_json(dialect.render_fields(found.tags, models, found.methods, found.features, found.languages))


def _asked(request: Request) -> dialect.SumsAsked:
    return dialect.parse_sums(request.scope["query_string"], datetime.now(timezone.utc).date())


def _question(asked: dialect.SumsAsked) -> UsageQuestion:
    return UsageQuestion(asked.wanted, asked.model, asked.tag, asked.features)


def _total(first: str, last: str, sums: Sums, value: str = "") -> dialect.Total:
    return dialect.Total(first, last, sums.requests, sums.audio_s, sums.channel_s, value)
