"""``/v1/projects``: the one project of this server, its models, its one member, and what it costs: nothing."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.dependencies import CurrentServices
from app.api.management import ProjectReader, as_json, checked_id, holding
from app.dialects import deepgram_management as dialect
from app.dialects.deepgram_usage import BILLING_GROUPINGS, parse_sums, render_billing
from app.dialects.models_list import render_model, render_models
from app.domain.errors import Forbidden, NotFound
from app.domain.ports import ApiKey
from app.domain.project import BALANCE_ID, MEMBER_ID

ONE_PROJECT = "This server has one project, which cannot be changed, left or deleted."
ONE_MEMBER = "This server has one member, who runs it; access is given by keys."
NO_CREDENTIALS = "This server has no distribution credentials."

router = APIRouter(tags=["management"])

_ONE = "/v1/projects/{project_id}"


@router.get("/v1/projects", summary="List the projects")
async def list_projects(_: ProjectReader) -> Response:
    """There is one."""
    return as_json(dialect.render_projects())


@router.get(_ONE, summary="Show the project")
async def show_project(_: ProjectReader) -> Response:
    """Its id is the same on every server of this kind."""
    return as_json(dialect.render_project())


@router.patch(_ONE, summary="Not possible", dependencies=[holding("project:write")])
@router.delete(f"{_ONE}/leave", summary="Not possible", dependencies=[holding("project:read")])
async def change_project() -> Response:
    """Always 403."""
    raise Forbidden(ONE_PROJECT)


@router.delete(_ONE, summary="Not possible", dependencies=[holding("project:write:destroy")])
async def delete_project() -> Response:
    """Always 403."""
    raise Forbidden(ONE_PROJECT)


@router.get(f"{_ONE}/models", summary="List the installed models")
async def list_project_models(_: ProjectReader, services: CurrentServices) -> Response:
    """The same as ``/v1/models``."""
    return as_json(render_models(await run_in_threadpool(services.catalog.installed)))


@router.get(f"{_ONE}/models/{{model_id}}", summary="Show one installed model")
async def show_project_model(model_id: str, _: ProjectReader, services: CurrentServices) -> Response:
    """By UUID or by name."""
    for model in await run_in_threadpool(services.catalog.installed):
        if model_id in (model.info.uuid, model.info.name):
            return as_json(render_model(model))
    raise NotFound("A model with the submitted ID cannot be found.")


@router.get(f"{_ONE}/members", summary="List the members", dependencies=[holding("members:read")])
async def list_members() -> Response:
    """There is one: whoever runs the server."""
    return as_json(dialect.render_members())


@router.delete(f"{_ONE}/members/{{member_id}}", summary="Not possible", dependencies=[holding("members:write:kick")])
async def remove_member(member_id: str) -> Response:
    """Always 403."""
    _check_member(member_id)
    raise Forbidden(ONE_MEMBER)


@router.get(
    f"{_ONE}/members/{{member_id}}/scopes", summary="Show a member's scopes", dependencies=[holding("members:read:scopes")]
)
async def show_member_scopes(member_id: str) -> Response:
    """The owner's."""
    _check_member(member_id)
    return as_json(dialect.render_scopes())


@router.put(f"{_ONE}/members/{{member_id}}/scopes", summary="Not possible", dependencies=[holding("members:write:scopes")])
async def change_member_scopes(member_id: str) -> Response:
    """Always 403."""
    _check_member(member_id)
    raise Forbidden(ONE_MEMBER)


@router.get(f"{_ONE}/invites", summary="List the invitations", dependencies=[holding("members:read:invites")])
async def list_invites() -> Response:
    """There are none."""
    return as_json(dialect.render_invites())


@router.post(f"{_ONE}/invites", summary="Not possible", dependencies=[holding("members:write:invites")])
async def invite() -> Response:
    """Always 403."""
    raise Forbidden(ONE_MEMBER)


@router.delete(f"{_ONE}/invites/{{email}}", summary="Not possible", dependencies=[holding("members:write:invites")])
async def delete_invite(email: str) -> Response:
    """Always 404: nobody is invited."""
    raise NotFound("An invitation to this address cannot be found.")


@router.get(f"{_ONE}/balances", summary="List the balances", dependencies=[holding("billing:read")])
async def list_balances() -> Response:
    """One, of nothing."""
    return as_json(dialect.render_balances())


@router.get(f"{_ONE}/balances/{{balance_id}}", summary="Show a balance", dependencies=[holding("billing:read")])
async def show_balance(balance_id: str) -> Response:
    """Nothing is ever charged."""
    if checked_id(balance_id) != BALANCE_ID:
        raise NotFound("A balance with the submitted ID cannot be found.")
    return as_json(dialect.render_balance())


@router.get(f"{_ONE}/purchases", summary="List the purchases", dependencies=[holding("billing:read")])
async def list_purchases() -> Response:
    """There are none."""
    return as_json(dialect.render_purchases())


@router.get(f"{_ONE}/billing/breakdown", summary="Break down what is billed", dependencies=[holding("billing:read")])
async def billing_breakdown(request: Request) -> Response:
    """Nothing is."""
    today = datetime.now(timezone.utc).date()
    return as_json(render_billing(parse_sums(request.scope["query_string"], today, BILLING_GROUPINGS)))


@router.get(f"{_ONE}/billing/fields", summary="List what can be billed", dependencies=[holding("billing:read")])
async def billing_fields() -> Response:
    """Nothing can."""
    return as_json(dialect.render_billing_fields())


@router.get(f"{_ONE}/self-hosted/distribution/credentials", summary="List the distribution credentials")
@router.get(f"{_ONE}/selfhosted/distribution/credentials", include_in_schema=False)
@router.get(f"{_ONE}/onprem/distribution/credentials", include_in_schema=False)
async def list_credentials(_: ProjectReader) -> Response:
    """There are none; the two other paths are those of older clients."""
    return as_json(dialect.render_distribution_credentials())


@router.post(f"{_ONE}/self-hosted/distribution/credentials", summary="Not possible")
@router.post(f"{_ONE}/selfhosted/distribution/credentials", include_in_schema=False)
@router.post(f"{_ONE}/onprem/distribution/credentials", include_in_schema=False)
async def create_credentials(_: Annotated[ApiKey, holding("project:write")]) -> Response:
    """Always 403."""
    raise Forbidden(NO_CREDENTIALS)


@router.get(f"{_ONE}/self-hosted/distribution/credentials/{{credentials_id}}", summary="Always 404")
@router.get(f"{_ONE}/selfhosted/distribution/credentials/{{credentials_id}}", include_in_schema=False)
@router.get(f"{_ONE}/onprem/distribution/credentials/{{credentials_id}}", include_in_schema=False)
async def show_credentials(credentials_id: str, _: ProjectReader) -> Response:
    """There are none."""
    raise NotFound(NO_CREDENTIALS)


@router.delete(f"{_ONE}/self-hosted/distribution/credentials/{{credentials_id}}", summary="Always 404")
@router.delete(f"{_ONE}/selfhosted/distribution/credentials/{{credentials_id}}", include_in_schema=False)
@router.delete(f"{_ONE}/onprem/distribution/credentials/{{credentials_id}}", include_in_schema=False)
async def delete_credentials(credentials_id: str, _: Annotated[ApiKey, holding("project:write")]) -> Response:
    """There are none."""
    raise NotFound(NO_CREDENTIALS)


def _check_member(member_id: str) -> None:
    if checked_id(member_id) != MEMBER_ID:
        raise NotFound("A member with the submitted ID cannot be found.")
