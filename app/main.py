"""``create_app``: lifespan, middleware, routers, error handlers. Nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.api import (
    auth_routes,
    diction,
    keys,
    listen,
    listen_live,
    models,
    openai_audio,
    plain,
    plain_live,
    projects,
    realtime,
    status,
    system,
    usage,
)
from app.api.callbacks import CallbackEdge
from app.api.context import RequestContext
from app.api.errors import register_error_handlers
from app.api.multipart import FormPlaces
from app.api.openapi import SECURITY_SCHEMES
from app.api.usage_recording import UsageRecording
from app.services.bundle import Services
from app.settings import Settings
from app.telemetry import Metrics

EXPOSED_HEADERS = (
    "dg-model-name", "dg-model-uuid", "dg-char-count", "dg-request-id", "dg-project-id", "dg-error", "x-request-id",
)  # fmt: skip

StartServices = Callable[[Settings], Awaitable[Services]]


def create_app(settings: Settings, start_services: StartServices, notices: tuple[str, ...] = ()) -> FastAPI:
    """The ASGI application. ``start_services`` is awaited at startup; ``notices`` are what ``/health`` warns of."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.starting = asyncio.ensure_future(start_services(settings))
        try:
            services = await app.state.starting
        except asyncio.CancelledError:
            if not app.state.starting.cancelled():
                raise
            yield  # told to stop before it was ready: nothing has failed, and nothing is served
            return
        app.state.services = services
        services.job_runner.start(CallbackEdge(settings.max_channels, app.state.metrics, services.usage_log))
        try:
            yield
        finally:
            await services.close()

    app = FastAPIOffline(
        title="Whisper API",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        description="Deepgram's speech-to-text interface on your own machine, powered by whisper.cpp.",
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.notices = notices
    app.state.form_places = FormPlaces(settings.max_pending_requests)
    any_origin = "*" in settings.cors_origins
    app.add_middleware(
        CORSMiddleware,
        allow_origins=() if any_origin else settings.cors_origins,
        allow_origin_regex=".*" if any_origin else None,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
    metrics = app.state.metrics
    app.add_middleware(UsageRecording)
    app.add_middleware(RequestContext, max_query_bytes=settings.max_query_bytes, count=metrics.count_request)
    register_error_handlers(app)
    dialects = (listen, listen_live, diction, realtime, openai_audio, plain, plain_live)
    for module in (*dialects, models, auth_routes, projects, keys, usage, status, system):
        app.include_router(module.router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign] # FastAPI's documented way to extend it
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
        app.openapi_schema = schema
    return app.openapi_schema
