"""Is it alive, is it ready, what does it do: ``/health``, ``/ready``, ``/metrics``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app import __version__
from app.api.dependencies import CurrentMetrics, CurrentServices
from app.domain.errors import Unavailable
from app.domain.jobs import JobState

router = APIRouter(tags=["system"])


@router.get("/health", summary="The process is alive")
async def health(request: Request, services: CurrentServices) -> Response:
    """Always 200 while the event loop turns; says which model serves, and what is wrong with that."""
    notices: tuple[str, ...] = request.app.state.notices
    pools = services.models.ready
    idle = [f"The model `{name}` has nobody who works for it now." for name, pool in pools if not pool.stats().workers]
    body: dict[str, Any] = {
        "status": "degraded" if idle else "ok",
        "version": __version__,
        "default_model": services.catalog.default().info.name,
        "models": [{"name": name, "workers": pool.stats().workers} for name, pool in pools],
        "warnings": [*notices, *idle],
    }
    return Response(orjson.dumps(body), media_type="application/json")


@router.get("/ready", summary="Requests can be served")
async def ready(services: CurrentServices) -> Response:
    """200 while a worker is alive or the default model waits to be loaded; 503 before, and while the server stops."""
    is_ready = services.can_serve
    body = orjson.dumps({"status": "ready" if is_ready else "not ready"})
    return Response(body, status_code=200 if is_ready else 503, media_type="application/json")


@router.get("/metrics", summary="Metrics in Prometheus' text format")
async def show_metrics(metrics: CurrentMetrics, services: CurrentServices) -> Response:
    """Counters and histograms of this process."""
    for gauge in (metrics.workers, metrics.restarts, metrics.shed):
        gauge.clear()  # of models that have left
    for name, pool in services.models.ready:
        stats = pool.stats()
        metrics.workers.labels(name, "total").set(stats.workers)
        metrics.workers.labels(name, "busy").set(stats.busy)
        metrics.restarts.labels(name).set(stats.restarts)
        metrics.shed.labels(name).set(stats.shed)
    with suppress(Unavailable):  # a database that is away is no reason to show nothing
        counts = await run_in_threadpool(services.jobs.counts)
        for state in JobState:
            metrics.jobs.labels(state.value).set(counts.get(state, 0))
    return Response(metrics.render(), media_type="text/plain; version=0.0.4")
