"""Which models stay in memory and which leave: by time, and when another one needs the room. Pure; no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FOR_EVER_S = -1.0
"""A time to live that never ends."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A model with workers. ``last_used_s`` is in seconds of any one clock, ``users`` are jobs and streams that hold it now.

    ``is_pinned``: it was asked to stay, whatever the time and the memory.
    """

    name: str
    memory_bytes: int
    last_used_s: float
    users: int = 0
    is_pinned: bool = False

    @property
    def may_leave(self) -> bool:
        """Nobody uses it, and nobody asked to keep it."""
        return not self.users and not self.is_pinned


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model with workers, or about to have some. ``holds_room``: its memory counts; not yet while it waits.

    ``idle_s``: since its last use, 0 while it is used.

    ``expires_in_s`` None: it stays. ``is_measured``: its processes were looked at; else the memory is what is expected.
    """

    name: str
    uuid: str
    is_loaded: bool
    holds_room: bool
    workers: int
    users: int
    memory_bytes: int
    is_measured: bool
    is_pinned: bool
    is_leaving: bool
    idle_s: float
    expires_in_s: float | None


def expiry_s(resident: Resident, ttl_s: float) -> float | None:
    """When the model leaves if nobody asks for it before; None: not as things are. Negative ``ttl_s``: for ever."""
    return resident.last_used_s + ttl_s if ttl_s >= 0 and resident.may_leave else None


def next_expiry_s(residents: Iterable[Resident], ttl_s: float) -> float | None:
    """When the first of them leaves; None: none will."""
    return min((end_s for resident in residents if (end_s := expiry_s(resident, ttl_s)) is not None), default=None)


def expired(residents: Iterable[Resident], ttl_s: float, now_s: float) -> tuple[str, ...]:
    """Those whose time is over."""
    return tuple(
        resident.name for resident in residents if (end_s := expiry_s(resident, ttl_s)) is not None and end_s <= now_s
    )


def leavers(residents: Sequence[Resident], needed_bytes: int, budget_bytes: int) -> tuple[str, ...] | None:
    """Who has to leave for ``needed_bytes`` more, least recently used first; None: even all who may leave are not enough."""
    excess_bytes = sum(resident.memory_bytes for resident in residents) + needed_bytes - budget_bytes
    names: list[str] = []
    for resident in sorted(residents, key=lambda resident: resident.last_used_s):
        if excess_bytes <= 0:
            break
        if resident.may_leave:
            names.append(resident.name)
            excess_bytes -= resident.memory_bytes
    return tuple(names) if excess_bytes <= 0 else None


def can_ever_fit(residents: Iterable[Resident], needed_bytes: int, budget_bytes: int) -> bool:
    """Whether there would be room with everything gone that is not pinned."""
    return sum(resident.memory_bytes for resident in residents if resident.is_pinned) + needed_bytes <= budget_bytes
