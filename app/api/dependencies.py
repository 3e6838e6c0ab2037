"""What routes ask for, as ``Annotated`` aliases."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from app.api.auth import LISTEN_SCOPE, authorise
from app.domain.ports import ApiKey
from app.services.bundle import Services
from app.settings import Settings
from app.telemetry import Metrics


def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


def _settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


def _metrics(request: Request) -> Metrics:
    return cast("Metrics", request.app.state.metrics)


def _request_id(request: Request) -> str:
    return cast("str", request.state.request_id)


async def _listener(request: Request) -> ApiKey | None:
    settings = _settings(request)
    return await authorise(request, _services(request).accounts if settings.auth else None, LISTEN_SCOPE)


CurrentServices = Annotated[Services, Depends(_services)]
CurrentSettings = Annotated[Settings, Depends(_settings)]
CurrentMetrics = Annotated[Metrics, Depends(_metrics)]
RequestId = Annotated[str, Depends(_request_id)]
Listener = Annotated["ApiKey | None", Depends(_listener)]
"""A caller who may transcribe; None when the server runs without keys."""
