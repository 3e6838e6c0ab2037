"""Speech detection for all live streams together: what arrives within a few milliseconds is rated in one go.

One window alone costs more in calls than in arithmetic. Nothing waits while streams are few: the first piece after a pause
is rated in the same turn of the event loop, and only what comes sooner than ``GATHER_S`` after that waits for company.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.domain.audio import SAMPLE_RATE, Pcm16k
from app.domain.ports import Vad, VadStream

GATHER_S = 0.01
"""Least time between two rounds: the most that a piece waits for others, unless the loop itself is late."""

ROUND_SAMPLES = 8 * SAMPLE_RATE
"""Audio after which a round takes no more: a few milliseconds of work, then the event loop gets its turn."""

Piece = tuple[VadStream, Pcm16k]
Probabilities = NDArray[np.float32]
Tell = Callable[[list[Probabilities] | Exception], None]
"""Who is told what came of pieces. Must not raise."""


@runtime_checkable
class DistantVad(Vad, Protocol):
    """A detector that can rate many pieces elsewhere while the event loop goes on.

    True: ``tell`` is called once with what ``feed_all`` would return or raise, perhaps before this returns; no other pieces
    may come until then. False: nothing was done.
    """

    def feed_elsewhere(self, pieces: Sequence[Piece], tell: Tell) -> bool: ...


class _Waiting(NamedTuple):
    pieces: Sequence[Piece]
    tell: Tell


class JointVad:
    """Shares one detector among the streams of one event loop. With ``gather_s`` 0 only what comes in one turn is joined."""

    def __init__(self, vad: Vad, gather_s: float = GATHER_S) -> None:
        self._vad = vad
        self._distant_vad = vad if isinstance(vad, DistantVad) else None
        self._is_elsewhere = False
        self._takes_no_more = False
        self._gather_s = gather_s
        self._waiting: deque[_Waiting] = deque()
        self._next: asyncio.Handle | None = None
        self._next_is_soon = False
        self._not_before = -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None  # asking for it at each piece took 3 % of the processor

    def stream(self) -> VadStream:
        """The state of one channel, to be fed here, or by itself."""
        return self._vad.stream()

    async def feed(self, pieces: Sequence[Piece], *, at_once: bool = False) -> list[Probabilities]:
        """What each stream's ``feed`` would return; each stream may be here once at a time.

        ``at_once`` is for a client that has sent more already: it would be slowed down by waiting for others.
        """
        answer: asyncio.Future[list[Probabilities]] = asyncio.get_running_loop().create_future()

        def tell(rated: list[Probabilities] | Exception) -> None:
            if answer.done():  # its stream may have ended meanwhile
                return
            if isinstance(rated, Exception):
                answer.set_exception(rated)
            else:
                answer.set_result(rated)

        self.feed_soon(pieces, tell, at_once=at_once)
        return await answer

    def feed_soon(self, pieces: Sequence[Piece], tell: Tell, *, at_once: bool = False) -> None:
        """The same for those who cannot wait: ``tell`` is called once, in a later turn of the event loop."""
        loop = self._loop = self._loop or asyncio.get_running_loop()
        self._waiting.append(_Waiting(pieces, tell))
        self._run_in_time(loop, at_once=at_once)

    def _run_in_time(self, loop: asyncio.AbstractEventLoop, *, at_once: bool) -> None:
        if self._next_is_soon or self._is_elsewhere:
            return
        if not at_once and loop.time() < self._not_before:
            self._next = self._next or loop.call_at(self._not_before, self._run)
            return
        if self._next is not None:
            self._next.cancel()
        self._next = loop.call_soon(self._run)
        self._next_is_soon = True

    def _run(self) -> None:
        self._next, self._next_is_soon = None, False
        taken = self._taken()
        pieces = [piece for waiting in taken for piece in waiting.pieces]
        if self._loop is not None:
            self._not_before = self._loop.time() + self._gather_s
        self._is_elsewhere = True
        try:
            if self._distant_vad is None or not self._distant_vad.feed_elsewhere(pieces, partial(self._tell_all, taken)):
                self._tell_all(taken, self._vad.feed_all(pieces))
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, or would wait for ever
            self._tell_all(taken, error)

    def _tell_all(self, taken: Sequence[_Waiting], rated: list[Probabilities] | Exception) -> None:
        self._is_elsewhere = False
        if self._loop is not None and self._waiting:
            self._run_in_time(self._loop, at_once=self._takes_no_more)
        begin = 0
        for waiting in taken:
            end = begin + len(waiting.pieces)
            waiting.tell(rated if isinstance(rated, Exception) else rated[begin:end])
            begin = end

    def _taken(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        samples = 0
        while self._waiting and samples < ROUND_SAMPLES:
            waiting = self._waiting.popleft()
            samples += sum(len(pcm) for _, pcm in waiting.pieces)
            taken.append(waiting)
        self._takes_no_more = bool(self._waiting)
        return taken
