"""What is loaded, as ``/v1/models/resident`` tells it."""

from __future__ import annotations

import json

from app.dialects.models_list import render_resident
from app.domain.residency import ModelState


def state(name: str, *, is_loaded: bool = True, holds_room: bool = True, is_leaving: bool = False) -> ModelState:
    return ModelState(
        name=name,
        uuid=name,
        is_loaded=is_loaded,
        holds_room=holds_room,
        workers=1,
        users=1,
        memory_bytes=100_000_000,
        is_measured=True,
        is_pinned=False,
        is_leaving=is_leaving,
        idle_s=0.0,
        expires_in_s=None,
    )


def test_a_model_that_waits_for_room_takes_none_yet() -> None:
    states = [
        state("a"),
        state("b", is_leaving=True),
        state("c", is_loaded=False),
        state("d", is_loaded=False, holds_room=False),
    ]
    body = json.loads(render_resident(states, 400_000_000))
    assert [model["state"] for model in body["models"]] == ["loaded", "leaving", "loading", "waiting"]
    assert (body["memory_mb"], body["memory_budget_mb"]) == (300, 400)
