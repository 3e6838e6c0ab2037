"""``/v1/models``: bodies that are Deepgram's model list (contract 4.1) and OpenAI's at the same time, and what is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from app.domain.ports import InstalledModel
from app.domain.pulling import PullProgress
from app.domain.residency import ModelState

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


def render_resident(states: Sequence[ModelState], budget_bytes: int | None) -> bytes:
    """Every loaded model, and what they take together. Sizes in megabytes, times in seconds from now."""
    return orjson.dumps(
        {
            "models": [_state(state) for state in states],
            "memory_mb": _megabytes(sum(state.memory_bytes for state in states if state.holds_room)),
            "memory_budget_mb": None if budget_bytes is None else _megabytes(budget_bytes),
        }
    )


def render_state(state: ModelState) -> bytes:
    """One loaded model."""
    return orjson.dumps(_state(state))


def render_unloaded(model: InstalledModel) -> bytes:
    """A model that has no workers."""
    return orjson.dumps({"name": model.info.name, "uuid": model.info.uuid, "state": "unloaded"})


def render_pull(progress: PullProgress) -> bytes:
    """How far a pull is."""
    return orjson.dumps(
        {
            "name": progress.name,
            "state": progress.state.value,
            "bytes_done": progress.done_bytes,
            "bytes_total": progress.total_bytes,
            "problem": progress.problem,
        }
    )


def _state(state: ModelState) -> Json:
    return {
        "name": state.name,
        "uuid": state.uuid,
        "state": _word(state),
        "workers": state.workers,
        "users": state.users,
        "memory_mb": _megabytes(state.memory_bytes),
        "memory_measured": state.is_measured,
        "kept": state.is_pinned,
        "idle_seconds": round(state.idle_s, 1),
        "expires_in_seconds": None if state.expires_in_s is None else round(state.expires_in_s, 1),
    }


def _word(state: ModelState) -> str:
    if not state.is_loaded:
        return "loading" if state.holds_room else "waiting"
    return "leaving" if state.is_leaving else "loaded"


def _megabytes(size_bytes: int) -> int:
    return round(size_bytes / 1e6)


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
