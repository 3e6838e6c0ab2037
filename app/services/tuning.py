"""Which workers and threads a machine does best with, measured over a pool of each combination."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from app.domain.audio import SAMPLE_RATE, Pcm16k, seconds
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, EnginePool, EngineSession, JobClass
from app.domain.transcript import Hypothesis

MOST_WORKERS = 16
MOST_THREADS = 8
"""whisper.cpp's gain per thread flattens between 4 and 8."""

LEAST_USE = 0.75
"""Share of the cores that a combination must use to be worth measuring."""

SPOKEN_S = 3.0
"""Length of the utterance whose final is timed, in seconds."""

BACKGROUND_S = 5.0
"""Length of the interims that keep the workers busy meanwhile."""


@dataclass(frozen=True, slots=True)
class Combination:
    """``workers`` processes of ``threads`` threads each."""

    workers: int
    threads: int


@dataclass(frozen=True, slots=True)
class Clips:
    """What is decoded: ``short`` holds a few words, ``long`` more of them in at most 28 s."""

    short: Pcm16k
    long: Pcm16k


@dataclass(frozen=True, slots=True)
class ThreadFigures:
    """What one worker takes, in seconds: the encoder for a full window (30 s) and for ``fitted_audio_s``, and each token."""

    threads: int
    full_window_s: float
    fitted_window_s: float
    fitted_audio_s: float
    token_s: float


@dataclass(frozen=True, slots=True)
class CombinationFigures:
    """What one combination does.

    ``batch_speed``: seconds of audio per second when many chunks wait. ``final_s``: what the final of a short utterance
    takes, from asking to answer, while interims of others keep all workers busy (median and the worst).
    """

    workers: int
    threads: int
    batch_speed: float
    final_s: float
    worst_final_s: float


StartPool = Callable[[Combination], Awaitable[EnginePool]]


def combinations(cores: int, workers: int = 0, threads: int = 0, *, gpu: bool = False) -> tuple[Combination, ...]:
    """What is worth trying on ``cores``; ``workers`` and ``threads`` fix what the operator has chosen (0: open).

    On a GPU one worker, which decodes one job at a time anyway.
    """
    if gpu and not workers:
        workers = 1
    counts = [workers] if workers else [count for count in range(1, MOST_WORKERS + 1) if count <= cores]
    found: dict[Combination, None] = {}
    for count in counts:
        share = min(MOST_THREADS, max(1, cores // count))
        for each in [threads] if threads else [share] if not workers else _halvings(share):
            if workers or cores * LEAST_USE <= count * each <= cores:
                found[Combination(count, each)] = None
    # Of counts that come out at the same threads the largest uses most: 3 x 2 leaves two of eight cores idle, 4 x 2 none.
    best = {each.threads: each for each in sorted(found, key=lambda each: each.workers)}
    return tuple(best.values()) if best else (Combination(workers or 1, threads or max(1, min(MOST_THREADS, cores))),)


def _halvings(most: int) -> list[int]:
    steps = [most]
    while steps[-1] > 1:
        steps.append(steps[-1] // 2)
    return steps


async def measure_threads(pool: EnginePool, threads: int, clips: Clips, repeat: int = 3) -> ThreadFigures:
    """Encoder and tokens told apart: the same window with few words and with many takes the same encoder.

    The least of ``repeat`` counts: other programs can only make it slower.
    """
    few = np.zeros_like(clips.long)
    few[: clips.short.size] = clips.short[: few.size]
    async with pool.admit(live=True) as session:
        little, much, full = [], [], []
        for turn in range(repeat):
            little.append(await session.transcribe(few, DecodeOptions(), JobClass.FINAL))
            much.append(await session.transcribe(clips.long, DecodeOptions(), JobClass.FINAL))
            if turn < max(1, repeat - 1):
                full.append(await session.transcribe(few, DecodeOptions(fit_context=False), JobClass.FINAL))
    few_s, many_s, full_s = (min(each.decode_s for each in decodes) for decodes in (little, much, full))
    few_tokens, many_tokens = _tokens(little[0]), _tokens(much[0])
    token_s = max(0.0, many_s - few_s) / (many_tokens - few_tokens) if many_tokens > few_tokens else 0.0
    return ThreadFigures(
        threads,
        full_window_s=full_s - few_tokens * token_s,
        fitted_window_s=few_s - few_tokens * token_s,
        fitted_audio_s=seconds(clips.long.size),
        token_s=token_s,
    )


def _tokens(hypothesis: Hypothesis) -> int:
    return sum(len(segment.tokens) for segment in hypothesis.segments)


async def measure_combination(
    pool: EnginePool, combination: Combination, clips: Clips, *, rounds: int = 2, finals: int = 5
) -> CombinationFigures:
    """``rounds`` chunks for each worker at once, then ``finals`` finals one after the other among interims."""
    chunks = rounds * combination.workers
    async with pool.admit(live=True) as session:
        await _decode_all(session, clips.long, pool.workers)  # the first decode of a worker is slower
        elapsed_s = await _decode_all(session, clips.long, chunks)
        waits_s = await _finals_among_interims(session, clips, combination.workers, finals)
    return CombinationFigures(
        combination.workers,
        combination.threads,
        batch_speed=chunks * seconds(clips.long.size) / elapsed_s,
        final_s=statistics.median(waits_s),
        worst_final_s=max(waits_s),
    )


async def _decode_all(session: EngineSession, pcm: Pcm16k, count: int) -> float:
    """Seconds until ``count`` chunks, asked for at once, are all done."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await asyncio.gather(*(session.transcribe(pcm, DecodeOptions(), JobClass.LONG_RECORDING) for _ in range(count)))
    return loop.time() - began_s


async def _finals_among_interims(session: EngineSession, clips: Clips, others: int, count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    utterance = clips.long[: int(SPOKEN_S * SAMPLE_RATE)]
    background = clips.long[: int(BACKGROUND_S * SAMPLE_RATE)]
    talk = [asyncio.ensure_future(_keep_asking(session, background)) for _ in range(others)]
    waits_s = []
    try:
        for turn in range(count):
            await asyncio.sleep(0.05 + 0.03 * turn)  # meets the interims at different points of their decodes
            began_s = loop.time()
            await session.transcribe(utterance, DecodeOptions(), JobClass.FINAL)
            waits_s.append(loop.time() - began_s)
    finally:
        for task in talk:
            task.cancel()
        await asyncio.gather(*talk, return_exceptions=True)
    return waits_s


async def _keep_asking(session: EngineSession, pcm: Pcm16k) -> None:
    while True:
        with contextlib.suppress(Aborted):
            await session.transcribe(pcm, DecodeOptions(), JobClass.INTERIM)
        await asyncio.sleep(0)


def propose(figures: Sequence[CombinationFigures]) -> Combination:
    """The combination that loses least on both counts: its shares of the best speed and of the best final, multiplied."""
    best_speed = max(each.batch_speed for each in figures)
    best_final_s = min(each.final_s for each in figures)
    best = min(figures, key=lambda each: (best_speed / each.batch_speed) * (each.final_s / best_final_s))
    return Combination(best.workers, best.threads)
