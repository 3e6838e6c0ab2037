"""A model that is loaded or being loaded, and the rules that all of them follow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.ports import EnginePool, InstalledModel
from app.domain.residency import FOR_EVER_S, ModelState, Resident, expiry_s

MeasurePool = Callable[[EnginePool], int | None]
"""Bytes of memory that the workers of a pool have now; None where that cannot be known. Blocking, some milliseconds."""

ROOM_WAIT_S = 15.0
"""Seconds a request waits for models in use to make room for its own. Most recordings take less; a live stream may take
hours, and nobody should wait for that without a word."""


@dataclass(frozen=True, slots=True)
class ResidencyRules:
    """How long models stay, and how much memory they may take together.

    ``ttl_s``: seconds after the last use, negative: for ever. ``budget_bytes`` None: as much as there is. ``estimate`` says
    how much a model that has never run here will need.
    """

    ttl_s: float = FOR_EVER_S
    budget_bytes: int | None = None
    room_wait_s: float = ROOM_WAIT_S
    estimate: Callable[[InstalledModel], int] = lambda model: model.size_bytes
    measure: MeasurePool = lambda _: None
    clock: Callable[[], float] = time.monotonic


@dataclass(eq=False, slots=True)
class Entry:
    """A model that is loaded, or being loaded. ``holds_room``: its memory counts; not yet while it waits for room.

    ``looked_s``: when its memory was last looked at; ``measured_s``: the same, if there was anything to see.
    """

    model: InstalledModel
    memory_bytes: int
    last_used_s: float
    users: int = 0
    is_pinned: bool = False
    is_leaving: bool = False
    measured_s: float | None = None
    looked_s: float | None = None
    holds_room: bool = False
    loading: asyncio.Task[EnginePool] | None = None
    pool: EnginePool | None = None

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.info.name

    def resident(self) -> Resident:
        """A model that is being loaded is in use, by whoever wanted it."""
        return Resident(self.name, self.memory_bytes, self.last_used_s, self.users + (self.pool is None), self.is_pinned)

    def state(self, ttl_s: float, now_s: float) -> ModelState:
        """What there is to say about it at ``now_s``."""
        end_s = expiry_s(self.resident(), ttl_s)
        return ModelState(
            name=self.name,
            uuid=self.model.info.uuid,
            is_loaded=self.pool is not None,
            holds_room=self.holds_room,
            workers=0 if self.pool is None else self.pool.stats().workers,
            users=self.users,
            memory_bytes=self.memory_bytes,
            is_measured=self.measured_s is not None,
            is_pinned=self.is_pinned,
            is_leaving=self.is_leaving,
            idle_s=0.0 if self.users else max(0.0, now_s - self.last_used_s),
            expires_in_s=None if end_s is None else max(0.0, end_s - now_s),
        )
