"""How far the fetching of a model's weights has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class PullState(str, Enum):
    """Where a pull is."""

    PULLING = "pulling"
    INSTALLED = "installed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PullProgress:
    """One model's pull. ``problem`` says in a sentence why it failed; what has arrived is kept for the next one."""

    name: str
    state: PullState
    done_bytes: int
    total_bytes: int
    problem: str | None = None
