"""The parts of the OpenAPI document that FastAPI cannot see, because the routes read queries and bodies themselves."""

from __future__ import annotations

from typing import Any

from app.dialects.deepgram_parameters import PARAMETERS, Kind, Parameter

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

SECURITY_SCHEMES: dict[str, Any] = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token <key>` or `Bearer <key>`. Create a key with `whisperapi keys create`.",
    }
}
