"""What a check of ``whisperapi doctor`` says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(str, Enum):
    """How a check ended. Only a failure means that the server cannot run."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result; ``remedy`` says what to do, and is empty when nothing needs doing."""

    check: str
    outcome: Outcome
    detail: str
    remedy: str = ""
