"""``GET /v1/models``: one body that is Deepgram's model list (contract 4.1) and OpenAI's at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from app.domain.ports import InstalledModel

Json = dict[str, Any]


def render_models(models: Sequence[InstalledModel]) -> bytes:
    """Both lists over the same models."""
    return orjson.dumps(
        {
            "stt": [_deepgram(model) for model in models],
            "tts": [],
            "object": "list",
            "data": [_openai(model) for model in models],
        }
    )


def render_model(model: InstalledModel) -> bytes:
    """One model, with the keys of both vendors."""
    return orjson.dumps(_deepgram(model) | _openai(model))


def _deepgram(model: InstalledModel) -> Json:
    return {
        "name": model.info.name,
        "canonical_name": model.info.name,
        "architecture": model.info.architecture,
        "languages": list(model.languages),
        "version": model.info.version,
        "uuid": model.info.uuid,
        "batch": True,
        "streaming": True,
        "formatted_output": True,
    }


def _openai(model: InstalledModel) -> Json:
    # OpenAI's `created` is the age of a model; what a local file can honestly say is nothing, so it is a constant.
    return {"id": model.info.name, "object": "model", "created": 0, "owned_by": "local"}
