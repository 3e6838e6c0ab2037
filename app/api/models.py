"""``GET /v1/models``: what this machine can serve, for Deepgram's clients and OpenAI's alike (contract 4.1)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.dependencies import CurrentServices
from app.dialects.models_list import render_model, render_models
from app.domain.errors import NotFound

router = APIRouter(tags=["models"])


@router.get("/v1/models", summary="List the installed models")
async def list_models(services: CurrentServices) -> Response:
    """Needs no key, as at Deepgram."""
    models = await run_in_threadpool(services.catalog.installed)
    return Response(render_models(models), media_type="application/json")


@router.get("/v1/models/{model_id:path}", summary="Show one installed model")
async def show_model(model_id: str, services: CurrentServices) -> Response:
    """By UUID, or by any of its names."""
    catalog = services.catalog
    is_default = model_id.lower() in catalog.data.default_aliases
    model = await run_in_threadpool(lambda: catalog.default() if is_default else catalog.find_installed(model_id))
    if model is None:
        raise NotFound("A model with the submitted ID cannot be found.")
    return Response(render_model(model), media_type="application/json")
