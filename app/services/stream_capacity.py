"""How many live streams the workers of a pool carry within the latencies that Deepgram's load test asks for.

Streams are imitated over the engine's port: people who speak for some seconds and pause, interims that thin out as decodes
get slower, a final at each pause. What a server does beside decoding is not in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.domain.audio import SAMPLE_RATE, Pcm16k
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, EnginePool, EngineSession, JobClass

UTTERANCE_S = 4.0
PAUSE_S = 1.0
FIRST_INTERIM_S = 0.4
LEAST_INTERVAL_S = 0.3
DECODES_APART = 1.2
"""When a live stream asks for interims: the rules of ``domain/stream/interims.py``."""

INTERIM_MARKS_S = (0.75, 1.5)
FINAL_MARKS_S = (0.7, 2.7)
"""Median and 90th percentile allowed, in seconds, from asking to answer. Deepgram's marks are 1.0 and 3.0 s for the end of
an utterance: 0.3 s of them are the silence that ends it."""

MOST_STREAMS = 200
ROUNDS = 2
PROBES = 5
UTILISATION = 0.8
"""Share of the workers' time that the first guess fills."""


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """One probe: ``streams`` at once, and the latencies of their decodes in seconds (median and 90th percentile)."""

    streams: int
    interim_p50_s: float
    interim_p90_s: float
    final_p50_s: float
    final_p90_s: float
    interims: int
    utterances: int

    @property
    def within_marks(self) -> bool:
        """Both latencies are within the marks, and nobody goes without interims."""
        interims = self.interim_p50_s <= INTERIM_MARKS_S[0] and self.interim_p90_s <= INTERIM_MARKS_S[1]
        finals = self.final_p50_s <= FINAL_MARKS_S[0] and self.final_p90_s <= FINAL_MARKS_S[1]
        return interims and finals and self.interims >= self.utterances


@dataclass(slots=True)
class _Notes:
    interims_s: list[float] = field(default_factory=list)
    finals_s: list[float] = field(default_factory=list)


async def find_capacity(pool: EnginePool, pcm: Pcm16k, final_s: float) -> tuple[int, tuple[StreamFigures, ...]]:
    """The most streams within the marks, and every probe. ``pcm``: at least ``UTTERANCE_S`` of speech.

    ``final_s``: what one decode of it takes, for the first guess. 0 if not even one stream is served in time.
    """
    good, bad = 0, MOST_STREAMS + 1
    guess = int(UTILISATION * pool.workers * (UTTERANCE_S + PAUSE_S) / max(0.001, 2.5 * final_s))
    probes = []
    for _ in range(PROBES):
        streams = max(good + 1, min(bad - 1, guess))
        figures = await probe(pool, pcm, streams)
        probes.append(figures)
        if figures.within_marks:
            good, guess = streams, (streams + bad) // 2 if bad <= MOST_STREAMS else streams + max(1, streams // 2)
        else:
            bad, guess = streams, (good + streams) // 2
        if bad - good <= max(1, good // 10):
            break
    return good, tuple(probes)


async def probe(pool: EnginePool, pcm: Pcm16k, streams: int) -> StreamFigures:
    """``streams`` people for ``ROUNDS`` utterances each, who do not begin in step."""
    notes = _Notes()
    async with contextlib.AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(pool.admit(live=True)) for _ in range(streams)]
        apart_s = (UTTERANCE_S + PAUSE_S) / streams
        await asyncio.gather(*(_talk(each, pcm, index * apart_s, notes) for index, each in enumerate(sessions)))
    return StreamFigures(
        streams,
        _percentile(notes.interims_s, 50),
        _percentile(notes.interims_s, 90),
        _percentile(notes.finals_s, 50),
        _percentile(notes.finals_s, 90),
        len(notes.interims_s),
        len(notes.finals_s),
    )


async def _talk(session: EngineSession, pcm: Pcm16k, delay_s: float, notes: _Notes) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time() + delay_s
    finals = []
    for _ in range(ROUNDS):
        await _interims(session, pcm, began_s, notes)
        await asyncio.sleep(began_s + UTTERANCE_S - loop.time())
        finals.append(asyncio.ensure_future(_final(session, pcm, notes)))
        began_s += UTTERANCE_S + PAUSE_S
    await asyncio.gather(*finals)


async def _interims(session: EngineSession, pcm: Pcm16k, began_s: float, notes: _Notes) -> None:
    """Interims of one utterance that began at ``began_s``, each of all that has been said by then."""
    loop = asyncio.get_running_loop()
    due_s = began_s + FIRST_INTERIM_S
    end_s = began_s + UTTERANCE_S
    while due_s < end_s:
        await asyncio.sleep(due_s - loop.time())
        asked_s = loop.time()
        heard = pcm[: max(1, int((asked_s - began_s) * SAMPLE_RATE))]
        try:
            await asyncio.wait_for(session.transcribe(heard, DecodeOptions(), JobClass.INTERIM), max(0.0, end_s - asked_s))
            notes.interims_s.append(loop.time() - asked_s)
        except asyncio.TimeoutError:
            return  # the final is due
        except Aborted:
            pass  # given up for others' finals
        due_s = asked_s + max(LEAST_INTERVAL_S, DECODES_APART * (loop.time() - asked_s))


async def _final(session: EngineSession, pcm: Pcm16k, notes: _Notes) -> None:
    loop = asyncio.get_running_loop()
    asked_s = loop.time()
    await session.transcribe(pcm[: int(UTTERANCE_S * SAMPLE_RATE)], DecodeOptions(), JobClass.FINAL)
    notes.finals_s.append(loop.time() - asked_s)


def _percentile(values: Sequence[float], percent: int) -> float:
    """0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
