"""Who may call the plain endpoints: the usual keys, also as HTTP Basic."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from app.api.auth import LISTEN_SCOPE, authorise, authorise_secret
from app.domain.errors import InvalidCredentials
from app.domain.ports import ApiKey
from app.services.accounts import Accounts
from app.services.bundle import Services
from app.settings import Settings


async def authorise_plainly(connection: HTTPConnection, accounts: Accounts | None) -> ApiKey | None:
    """As ``authorise``, for clients that can only be given an address: ``http://key:SECRET@host`` comes as HTTP Basic."""
    scheme, _, encoded = connection.headers.get("authorization", "").strip().partition(" ")
    if accounts is None or scheme.lower() != "basic":
        return await authorise(connection, accounts, LISTEN_SCOPE)
    return await authorise_secret(connection, accounts, _password(encoded), LISTEN_SCOPE)


def _password(encoded: str) -> str:
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidCredentials from None
    user, _, password = text.partition(":")
    return password or user


async def _caller(request: Request) -> ApiKey | None:
    settings = cast("Settings", request.app.state.settings)
    services = cast("Services", request.app.state.services)
    return await authorise_plainly(request, services.accounts if settings.auth else None)


PlainCaller = Annotated["ApiKey | None", Depends(_caller)]
"""A caller who may transcribe; None when the server runs without keys."""
