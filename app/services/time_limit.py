"""A time limit that costs a timer: ``asyncio.wait_for`` starts a task for each call before Python 3.12."""

from __future__ import annotations

import asyncio
from types import TracebackType


class TimeLimit:
    """``with TimeLimit(seconds):`` around awaits of the current task; raises ``asyncio.TimeoutError`` once they are over.

    A cancellation from elsewhere stays one, also where the limit passes at the same moment (from Python 3.11 on).
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_passed = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._pass)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._has_passed and not self._others_cancel() and kind is asyncio.CancelledError:
            raise asyncio.TimeoutError from error

    def _pass(self) -> None:
        self._has_passed = True
        if self._task is not None:
            self._task.cancel()

    def _others_cancel(self) -> bool:
        uncancel = getattr(self._task, "uncancel", None)
        return uncancel is not None and uncancel() > 0
