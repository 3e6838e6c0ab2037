"""How many threads the pool gives its decodes, seen in what it sends to workers that answer when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from app.domain.core_shares import CoreShares
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, JobClass
from app.domain.transcript import Hypothesis
from app.engines import wire
from app.engines.pool import ProcessPool
from app.engines.workers import Link, Worker

PCM = np.zeros(16_000, np.float32)
EMPTY = Hypothesis((), "en", 0.1)


class IdleWorker(Worker):
    """Takes jobs and does nothing until ``answer``; dies at once when it is killed."""

    def __init__(self, sent: list[tuple[IdleWorker, wire.Header]]) -> None:
        super().__init__()
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def close() -> None:
            if not lost.done():
                lost.set_result(None)

        self.fake = SimpleNamespace(send=self._take, lost=lost, close=close)
        self._sent = sent
        self.ready.set_result({"op": "ready", "pid": 0})

    @property
    def link(self) -> Link:
        return cast(Link, self.fake)

    def _take(self, header: wire.Header, _: Any = None) -> None:
        if header["op"] == "transcribe":
            self._sent.append((self, header))

    def answer(self, header: wire.Header) -> None:
        self.on_reply({"op": "hypothesis", "job": header["job"], "hypothesis": wire.pack_hypothesis(EMPTY)})

    def kill(self) -> None:
        if not self.fake.lost.done():
            self.fake.lost.set_result(None)


class Bench:
    """A pool over such workers. ``threads`` are those of the decodes in the order in which they were begun."""

    abort_s = 60.0

    def __init__(self, shares: CoreShares, reliefs: int) -> None:
        self.sent: list[tuple[IdleWorker, wire.Header]] = []
        self.pool = ProcessPool(self, shares, max_pending=9, reliefs=reliefs)

    @property
    def threads(self) -> list[int]:
        return [header["threads"] for _, header in self.sent]

    async def launch(self) -> Worker:
        return IdleWorker(self.sent)

    def process_ids(self) -> tuple[int, ...]:
        return ()

    async def close(self) -> None:
        """Nothing of its own to end."""

    async def rest(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def answer(self, number: int) -> None:
        worker, header = self.sent[number]
        worker.answer(header)
        await self.rest()


def run(shares: CoreShares, scenario: Callable[[Bench, Any], Awaitable[None]], reliefs: int = 1) -> None:
    async def whole() -> None:
        bench = Bench(shares, reliefs)
        await bench.pool._crew.start()  # noqa: SLF001 -- without processes there is nothing that ``start`` could load
        try:
            async with bench.pool.admit(live=True) as session:

                async def ask(job_class: JobClass) -> asyncio.Task[Hypothesis]:
                    job = asyncio.ensure_future(session.transcribe(PCM, DecodeOptions(), job_class))
                    await bench.rest()
                    return job

                await scenario(bench, ask)
        finally:
            await bench.pool.close()

    asyncio.run(asyncio.wait_for(whole(), 10))


TWO_CORES = CoreShares(workers=2, threads=1, most=2)


def test_a_decode_alone_uses_the_threads_of_idle_workers_and_the_next_waits_for_a_share() -> None:
    async def scenario(bench: Bench, ask: Any) -> None:
        jobs = [await ask(JobClass.LONG_RECORDING) for _ in range(4)]
        assert bench.threads == [2]
        await bench.answer(0)
        assert bench.threads == [2, 1, 1]
        for number in (1, 2, 3):
            await bench.answer(number)
        assert bench.threads == [2, 1, 1, 1]
        assert [await job for job in jobs]

    run(TWO_CORES, scenario)


def test_threads_that_were_fixed_are_not_lent() -> None:
    async def scenario(bench: Bench, ask: Any) -> None:
        jobs = [await ask(JobClass.SHORT_RECORDING) for _ in range(3)]
        assert bench.threads == [1, 1]
        for number in range(3):
            await bench.answer(number)
        assert [await job for job in jobs]

    run(CoreShares(workers=2, threads=1, most=1), scenario)


def test_a_final_takes_the_threads_of_interims() -> None:
    async def scenario(bench: Bench, ask: Any) -> None:
        alone = await ask(JobClass.INTERIM)
        assert bench.threads == [2]
        final = await ask(JobClass.FINAL)
        assert bench.threads == [2, 2]
        with pytest.raises(Aborted):
            await alone
        await bench.answer(1)
        assert await final
        first, *pair = [await ask(JobClass.INTERIM) for _ in range(3)]
        await bench.answer(2)
        assert await first
        assert bench.threads[3:] == [1, 1]
        final = await ask(JobClass.FINALIZE)
        assert bench.threads[5:] == [2]
        for interim in pair:
            with pytest.raises(Aborted):
                await interim
        await bench.answer(5)
        assert await final

    run(TWO_CORES, scenario)


def test_a_final_beside_a_recording_starts_at_once_and_stops_only_interims() -> None:
    async def scenario(bench: Bench, ask: Any) -> None:
        recording = await ask(JobClass.LONG_RECORDING)
        final = await ask(JobClass.FINAL)
        assert bench.threads == [2, 1]
        await bench.answer(0)
        await bench.answer(1)
        assert await recording
        assert await final
        assert bench.pool.stats().shed == 0

    run(TWO_CORES, scenario)


def test_a_final_runs_beside_recordings_on_every_worker() -> None:
    async def scenario(bench: Bench, ask: Any) -> None:
        recordings = [await ask(JobClass.LONG_RECORDING) for _ in range(3)]
        await bench.answer(0)
        assert bench.threads == [2, 1, 1]
        finals = [await ask(JobClass.FINAL) for _ in range(2)]
        assert bench.threads[3:] == [1]
        await bench.answer(3)
        assert bench.threads[4:] == [1]
        waits = await ask(JobClass.LONG_RECORDING)
        await bench.answer(4)
        assert all([await final for final in finals])
        assert bench.threads[5:] == []
        for number in (1, 2, 5):
            await bench.answer(number)
        assert all([await job for job in (*recordings, waits)])

    run(TWO_CORES, scenario)


def test_a_final_waits_for_other_finals_and_for_recordings_where_there_is_no_relief() -> None:
    async def scenario(bench: Bench, ask: Any) -> None:
        jobs = [await ask(kind) for kind in (JobClass.LONG_RECORDING, JobClass.FINAL, JobClass.FINAL)]
        assert bench.threads == [2, 1]
        for number in range(3):
            await bench.answer(number)
        assert all([await job for job in jobs])

    async def without_relief(bench: Bench, ask: Any) -> None:
        jobs = [await ask(kind) for kind in (JobClass.LONG_RECORDING, JobClass.LONG_RECORDING, JobClass.FINAL)]
        assert bench.threads == [1, 1]
        for number in range(3):
            await bench.answer(number)
        assert all([await job for job in jobs])

    run(TWO_CORES, scenario)
    run(CoreShares(workers=2, threads=1, most=1), without_relief, reliefs=0)


def test_finals_that_wait_together_share() -> None:
    async def scenario(bench: Bench, ask: Any) -> None:
        first = await ask(JobClass.FINAL)
        others = [await ask(JobClass.FINAL) for _ in range(2)]
        assert bench.threads == [2, 1]
        await bench.answer(0)
        assert bench.threads == [2, 1, 1]
        await bench.answer(1)
        await bench.answer(2)
        assert [await job for job in (first, *others)]

    run(TWO_CORES, scenario)


def test_a_speculation_is_a_final_unless_finals_hold_every_worker_or_wait() -> None:
    async def scenario(bench: Bench, ask: Any) -> None:
        jobs = [await ask(JobClass.FINAL), await ask(JobClass.SPECULATION)]
        assert bench.threads == [2, 1]
        with pytest.raises(Aborted):
            await (await ask(JobClass.SPECULATION))
        jobs.append(await ask(JobClass.FINAL))
        with pytest.raises(Aborted):
            await (await ask(JobClass.SPECULATION))
        for number in range(3):
            await bench.answer(number)
        assert [await job for job in jobs]
        assert (bench.pool.stats().shed, bench.pool.stats().waiting) == (2, 0)

    run(TWO_CORES, scenario)


def test_a_speculation_runs_beside_recordings_on_every_worker() -> None:
    async def scenario(bench: Bench, ask: Any) -> None:
        jobs = [await ask(JobClass.LONG_RECORDING) for _ in range(3)]
        await bench.answer(0)
        jobs.append(await ask(JobClass.SPECULATION))
        assert bench.threads == [2, 1, 1, 1]
        for number in range(1, 4):
            await bench.answer(number)
        assert all([await job for job in jobs])

    run(TWO_CORES, scenario)
