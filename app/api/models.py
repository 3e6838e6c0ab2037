"""``/v1/models``: what this machine can serve, for clients of Deepgram and OpenAI (contract 4.1), and what is loaded."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.dependencies import CurrentServices
from app.api.management import as_json, holding
from app.dialects.models_list import (
    render_model,
    render_models,
    render_pull,
    render_resident,
    render_state,
    render_unloaded,
)
from app.domain.errors import NotFound
from app.domain.ports import ApiKey, InstalledModel
from app.domain.pulling import PullState
from app.domain.residency import ModelState
from app.services.bundle import Services

UNKNOWN_MODEL = "A model with the submitted ID cannot be found."
NOT_INSTALLED = "This model is not installed. POST /v1/models/{id}/pull fetches it."

Administrator = Annotated[ApiKey, holding("admins:write")]
"""A key that may change what is loaded: this is a scope of the contract that administrators have and members have not."""

router = APIRouter(tags=["models"])


@router.get("/v1/models", summary="List the installed models")
async def list_models(services: CurrentServices) -> Response:
    """Needs no key, as at Deepgram."""
    return as_json(render_models(await run_in_threadpool(services.catalog.installed)))


@router.get("/v1/models/resident", summary="List the loaded models")
async def list_resident(services: CurrentServices) -> Response:
    """With their workers, memory and time to live. Needs no key, like the other pages that tell how the server is."""
    return as_json(render_resident(await services.models.measured(), services.models.budget_bytes))


@router.post("/v1/models/{model_id:path}/load", summary="Load a model")
async def load(model_id: str, _: Administrator, services: CurrentServices) -> Response:
    """Answers once it is loaded; it stays for the usual time."""
    model = await _installed(services, model_id)
    await services.models.pool(model)
    return as_json(render_state(_state_of(services, model)))


@router.post("/v1/models/{model_id:path}/unload", summary="Unload a model")
async def unload(model_id: str, _: Administrator, services: CurrentServices) -> Response:
    """200 when it has gone; 202 while it is used: it goes after its last user, and serves until then."""
    model = await _installed(services, model_id)
    state = await services.models.unload(model.info.name)
    if state is None:
        return as_json(render_unloaded(model))
    return Response(render_state(state), status_code=202, media_type="application/json")


@router.post("/v1/models/{model_id:path}/pull", summary="Fetch a model")
async def pull(model_id: str, _: Administrator, services: CurrentServices) -> Response:
    """202: it is on its way, look again with GET; 200: it is here."""
    progress = await run_in_threadpool(services.pulls.start, model_id)
    status = 202 if progress.state is PullState.PULLING else 200
    return Response(render_pull(progress), status_code=status, media_type="application/json")


@router.get("/v1/models/{model_id:path}/pull", summary="Show how far the fetching of a model is")
async def show_pull(model_id: str, _: Administrator, services: CurrentServices) -> Response:
    """Bytes done and in all; 404 if nobody has asked for it."""
    return as_json(render_pull(await run_in_threadpool(services.pulls.progress, model_id)))


@router.get("/v1/models/{model_id:path}", summary="Show one installed model")
async def show_model(model_id: str, services: CurrentServices) -> Response:
    """By UUID, or by any of its names."""
    return as_json(render_model(await _installed(services, model_id)))


async def _installed(services: Services, model_id: str) -> InstalledModel:
    catalog = services.catalog
    is_default = model_id.lower() in catalog.data.default_aliases
    model = await run_in_threadpool(lambda: catalog.default() if is_default else catalog.find_installed(model_id))
    if model is None:
        raise NotFound(UNKNOWN_MODEL if catalog.data.find(model_id) is None else NOT_INSTALLED)
    return model


def _state_of(services: Services, model: InstalledModel) -> ModelState:
    """What was loaded a moment ago; a time to live of 0 may have ended since."""
    for state in services.models.states():
        if state.name == model.info.name:
            return state
    raise NotFound("The model has left again.")
