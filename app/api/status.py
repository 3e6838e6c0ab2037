"""``/v1/status`` and ``/v1/status/engine``: how the server is, as probes of Deepgram's containers ask (contract 4.7)."""

from __future__ import annotations

from collections.abc import Collection

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from app.api.dependencies import CurrentMetrics, CurrentServices
from app.api.management import as_json
from app.services.bundle import Services

HEALTHY, DEGRADED = 0.9, 0.4
"""Shares of the last hundred requests in which the server did its part, above which it is called that."""

router = APIRouter(tags=["system"])


@router.get("/v1/status", summary="How the last requests went")
async def show_status(services: CurrentServices, metrics: CurrentMetrics) -> Response:
    """A failure is an answer of 500 or more; what a client did wrong says nothing about the server."""
    body = {
        "system_health": _health(services.usage_log.recent, is_up=_is_up(services)),
        "active_batch_requests": int(metrics.registry.get_sample_value("engine_active_requests", {"kind": "batch"}) or 0),
        "active_stream_requests": services.live.active,
        "active_listen_v2_stream_requests": 0,
    }
    return as_json(orjson.dumps(body))


@router.get("/v1/status/engine", summary="Whether a decode worker is alive")
async def show_engine(services: CurrentServices) -> Response:
    """Probes compare how the body begins."""
    return as_json(orjson.dumps({"engine_connection_status": "Connected" if _is_up(services) else "Disconnected"}))


def _is_up(services: Services) -> bool:
    return services.can_serve


def _health(recent: Collection[bool], *, is_up: bool) -> str:
    if not is_up:
        return "Initializing"
    if not recent:
        return "Ready"
    share = sum(recent) / len(recent)
    if share > HEALTHY:
        return "Healthy"
    return "Degraded" if share >= DEGRADED else "Critical"
