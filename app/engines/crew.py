"""Keeps a number of workers alive: whoever dies is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.errors import Unavailable
from app.engines import wire
from app.engines.workers import Launcher, Worker

QUICK_RESTARTS = 2
"""Deaths in a row without an answer in between that are mended at once: they are nearly always the job's fault."""

FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 30.0


@dataclass(eq=False, slots=True)
class Slot:
    """A place for one worker. ``answered``: it has finished a job; ``killed``: it dies because it was told to."""

    worker: Worker | None = None
    answered: bool = False
    killed: bool = False


class Crew:
    """``count`` slots and the tasks that keep them filled.

    ``on_ready`` and ``on_lost`` say that a slot has got or lost its worker, ``on_reply`` passes a worker's message on, and
    ``on_problem`` that no worker could be started (after which it is tried again, slower and slower).
    """

    def __init__(
        self,
        launcher: Launcher,
        count: int,
        *,
        on_ready: Callable[[Slot], None],
        on_lost: Callable[[Slot], None],
        on_reply: Callable[[Slot, wire.Header], None],
        on_problem: Callable[[Unavailable], None],
    ) -> None:
        self.slots = [Slot() for _ in range(count)]
        self.restarts = 0
        self._launcher = launcher
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._on_reply = on_reply
        self._on_problem = on_problem
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self) -> wire.Header:
        """Fill every slot. Returns a worker's first message; raises ``Unavailable``, with no worker left, if one fails."""
        launched = await asyncio.gather(*(self._launcher.launch() for _ in self.slots), return_exceptions=True)
        workers = [worker for worker in launched if isinstance(worker, Worker)]
        for outcome in launched:
            if isinstance(outcome, BaseException):
                await asyncio.gather(*(worker.link.close() for worker in workers))
                raise outcome
        for slot, worker in zip(self.slots, workers, strict=True):
            self._fill(slot, worker)
            self._keepers.append(asyncio.get_running_loop().create_task(self._keep(slot, worker)))
        return workers[0].ready.result()

    @property
    def alive(self) -> int:
        """Slots with a worker."""
        return sum(slot.worker is not None for slot in self.slots)

    async def close(self) -> None:
        """Let all workers end, also in the middle of a decode."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(slot.worker.link.close() for slot in self.slots if slot.worker is not None))

    async def _keep(self, slot: Slot, worker: Worker) -> None:
        failures = 0
        while True:
            await asyncio.shield(worker.link.lost)
            failures = 0 if slot.answered or slot.killed else failures + 1
            self.restarts += not slot.killed
            slot.worker = None
            self._on_lost(slot)
            worker = await self._replace(failures)
            self._fill(slot, worker)

    async def _replace(self, failures: int) -> Worker:
        while True:
            await asyncio.sleep(backoff_s(failures))
            try:
                return await self._launcher.launch()
            except Unavailable as error:
                failures += 1
                self._on_problem(error)

    def _fill(self, slot: Slot, worker: Worker) -> None:
        slot.worker = worker
        slot.answered = slot.killed = False
        worker.on_reply = lambda header: self._on_reply(slot, header)
        self._on_ready(slot)


def backoff_s(failures: int) -> float:
    """Seconds to wait before the next start after ``failures`` in a row."""
    if failures <= QUICK_RESTARTS:
        return 0.0
    return min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (failures - QUICK_RESTARTS - 1))
