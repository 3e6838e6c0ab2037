"""The parts of the OpenAPI document that FastAPI cannot see, because the routes read queries and bodies themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.dialects.deepgram_parameters import PARAMETERS, Kind, Parameter
from app.dialects.openai_options import Field

_TYPES = {
    Kind.BOOL: "boolean",
    Kind.INT: "integer",
    Kind.FLOAT: "number",
    Kind.TEXT: "string",
    Kind.CHOICE: "string",
}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    value: dict[str, Any] = {"type": _TYPES[parameter.kind]}
    return {
        "name": parameter.name,
        "in": "query",
        "required": False,
        "description": f"({parameter.support.value}) {parameter.note}",
        "schema": {"type": "array", "items": value} if parameter.repeatable else value,
    }


LISTEN_OPENAPI: dict[str, Any] = {
    "parameters": [_parameter(parameter) for parameter in PARAMETERS],
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {
                "schema": {"type": "object", "required": ["url"], "properties": {"url": {"type": "string", "format": "uri"}}}
            },
        },
    },
    "security": [{"key": []}],
}


def form_openapi(fields: Sequence[Field]) -> dict[str, Any]:
    """The request body of a route that takes OpenAI's form."""
    properties = {field.name: _form_value(field.kind) | {"description": field.note} for field in fields}
    schema = {"type": "object", "required": ["file"], "properties": properties}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}},
        "security": [{"key": []}],
    }


def _form_value(kind: str) -> dict[str, Any]:
    if kind == "file":
        return {"type": "string", "format": "binary"}
    return {"type": "array", "items": {"type": "string"}} if kind == "array" else {"type": kind}


SECURITY_SCHEMES: dict[str, Any] = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token <key>` or `Bearer <key>`. Create a key with `whisperapi keys create`.",
    }
}
