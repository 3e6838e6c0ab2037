"""Measuring combinations of workers and threads, on virtual time: what is measured are the decodes of a scripted machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from app.domain.audio import Pcm16k, seconds
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, EngineCapabilities, EngineSession, JobClass, PoolStats
from app.domain.transcript import Hypothesis, LanguageGuess, Segment
from app.services import stream_capacity
from app.services.stream_capacity import find_capacity, probe
from app.services.tuning import (
    Clips,
    Combination,
    CombinationFigures,
    combinations,
    measure_combination,
    measure_threads,
    propose,
)
from tests.support.live_shell import run_virtually

FEW = np.ones(16_000, np.float32)
MANY = np.ones(160_000, np.float32)
CLIPS = Clips(FEW, MANY)
ENCODE_FULL_S, ENCODE_FITTED_S, TOKEN_S = 1.2, 0.4, 0.01


def speak(pcm: Pcm16k, options: DecodeOptions) -> Hypothesis:
    """Two tokens for each second that is not silent."""
    tokens = 2 * int(np.count_nonzero(pcm) / 16_000)
    decode_s = (ENCODE_FITTED_S if options.fit_context else ENCODE_FULL_S) + tokens * TOKEN_S
    return Hypothesis((Segment("", 0.0, 1.0, (), tuple(range(tokens)), 0.0),), "en", decode_s=decode_s)


class Machine:
    """A pool of workers that take ``decode_s`` for a piece; finals come first, and interims in their way are given up."""

    capabilities = EngineCapabilities(("en",), multilingual=False, translates=False)

    def __init__(self, workers: int, decode_s: Callable[[Pcm16k], float]) -> None:
        self.workers = workers
        self.most_at_once = 0
        self.classes: list[JobClass] = []
        self._decode_s = decode_s
        self._free = asyncio.Semaphore(workers)
        self._interims: list[asyncio.Future[None]] = []
        self._running = 0

    @asynccontextmanager
    async def admit(self, *, live: bool = False) -> AsyncIterator[EngineSession]:
        yield self

    async def transcribe(self, pcm: Pcm16k, options: DecodeOptions, job_class: JobClass) -> Hypothesis:
        self.classes.append(job_class)
        given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if job_class is JobClass.INTERIM:
            self._interims.append(given_up)
        elif self._free.locked() and self._interims:
            self._interims.pop(0).set_result(None)
        try:
            async with self._free:
                self._running += 1
                self.most_at_once = max(self.most_at_once, self._running)
                try:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(asyncio.shield(given_up), self._decode_s(pcm))
                        raise Aborted
                finally:
                    self._running -= 1
        finally:
            with contextlib.suppress(ValueError):
                self._interims.remove(given_up)
        return speak(pcm, options)

    async def detect_language(self, pcm: Pcm16k, among: tuple[str, ...], job_class: JobClass) -> tuple[LanguageGuess, ...]:
        raise AssertionError("nobody asks")

    def stats(self) -> PoolStats:
        return PoolStats()

    async def close(self) -> None:
        return None


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return run_virtually(main)


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(1, 2), (2, 1)]),
        (4, [(1, 4), (2, 2), (4, 1)]),
        (8, [(1, 8), (2, 4), (4, 2), (8, 1)]),
        (64, [(8, 8), (9, 7), (10, 6), (12, 5), (16, 4)]),
    ],
)
def test_combinations_fill_the_cores_and_never_more(cores: int, expected: list[tuple[int, int]]) -> None:
    assert [(each.workers, each.threads) for each in combinations(cores)] == expected


def test_what_the_operator_chose_stays() -> None:
    assert {each.workers for each in combinations(8, workers=3)} == {3}
    assert {each.threads for each in combinations(8, threads=2)} == {2}
    assert combinations(2, workers=4) == (Combination(4, 1),)
    assert combinations(2, workers=3, threads=5) == (Combination(3, 5),)


def test_a_gpu_gets_one_worker() -> None:
    assert [(each.workers, each.threads) for each in combinations(8, gpu=True)] == [(1, 8), (1, 4), (1, 2), (1, 1)]


def test_encoder_and_tokens_are_told_apart() -> None:
    async def main() -> None:
        figures = await measure_threads(Machine(1, lambda _: 0.1), 2, CLIPS)
        assert figures.token_s == pytest.approx(TOKEN_S)
        assert figures.fitted_window_s == pytest.approx(ENCODE_FITTED_S)
        assert figures.full_window_s == pytest.approx(ENCODE_FULL_S)
        assert (figures.threads, figures.fitted_audio_s) == (2, 10.0)

    run(main)


def test_batch_speed_counts_all_workers() -> None:
    async def main() -> None:
        machine = Machine(2, lambda pcm: seconds(pcm.size) / 10)
        figures = await measure_combination(machine, Combination(2, 1), CLIPS)
        assert figures.batch_speed == pytest.approx(20.0)
        assert machine.most_at_once == 2

    run(main)


def test_finals_are_timed_while_interims_keep_the_workers_busy() -> None:
    async def main() -> None:
        machine = Machine(2, lambda pcm: seconds(pcm.size) / 10)
        figures = await measure_combination(machine, Combination(2, 1), CLIPS, finals=4)
        assert machine.classes.count(JobClass.FINAL) == 4
        assert machine.classes.count(JobClass.INTERIM) >= 4
        assert figures.final_s == pytest.approx(0.3, abs=0.05)
        assert figures.worst_final_s >= figures.final_s

    run(main)


def test_the_proposal_weighs_speed_against_latency() -> None:
    fast_finals = CombinationFigures(1, 2, batch_speed=20.0, final_s=0.2, worst_final_s=0.3)
    bit_faster_batch = CombinationFigures(2, 1, batch_speed=23.0, final_s=0.35, worst_final_s=0.5)
    much_faster_batch = CombinationFigures(2, 1, batch_speed=40.0, final_s=0.35, worst_final_s=0.5)
    assert propose([fast_finals, bit_faster_batch]) == Combination(1, 2)
    assert propose([fast_finals, much_faster_batch]) == Combination(2, 1)


def test_a_probe_counts_what_every_stream_got() -> None:
    async def main() -> None:
        figures = await probe(Machine(4, lambda _: 0.1), MANY, 2)
        assert figures.utterances == 2 * stream_capacity.ROUNDS
        assert figures.final_p50_s == pytest.approx(0.1)
        # 0.4 s, then every 0.3 s until 4 s: 12 for each utterance
        assert figures.interims == 12 * figures.utterances
        assert figures.within_marks

    run(main)


def test_capacity_is_where_the_marks_are_missed() -> None:
    async def main() -> None:
        one, probes = await find_capacity(Machine(1, lambda _: 0.25), MANY, 0.25)
        two, _ = await find_capacity(Machine(2, lambda _: 0.25), MANY, 0.25)
        assert 1 <= one < two
        assert max(each.streams for each in probes if each.within_marks) == one
        assert all(each.streams > one for each in probes if not each.within_marks)

    run(main)


def test_a_machine_that_is_too_slow_for_one_stream_says_none() -> None:
    async def main() -> None:
        streams, probes = await find_capacity(Machine(1, lambda _: 3.0), MANY, 3.0)
        assert streams == 0
        assert [each.streams for each in probes] == [1]

    run(main)
