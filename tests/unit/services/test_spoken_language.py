from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest

from app.domain.audio import SAMPLE_RATE, PcmBlock
from app.domain.errors import BadAudio
from app.domain.ports import DecodedAudio, JobClass
from app.domain.transcript import LanguageGuess
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad
from app.services.spoken_language import detect_spoken_language


class Talk:
    """A recording in blocks of ten seconds; ``read`` counts them. ``channels`` differ in their sign."""

    def __init__(self, seconds: float, channels: int = 1) -> None:
        self.channels = channels
        self.sample_rate = SAMPLE_RATE
        self.read = 0
        self.is_closed = False
        self._samples = round(seconds * SAMPLE_RATE)

    def blocks(self) -> Iterator[PcmBlock]:
        for start in range(0, self._samples, 10 * SAMPLE_RATE):
            self.read += 1
            ones = np.ones(min(10 * SAMPLE_RATE, self._samples - start), np.float32)
            yield np.stack([ones * sign for sign in (1, -1)[: self.channels]])

    @contextmanager
    def opened(self) -> Iterator[DecodedAudio]:
        try:
            yield self
        finally:
            self.is_closed = True


def detect(opened: AbstractContextManager[DecodedAudio], vad: ScriptedVad, pool: ScriptedPool) -> tuple[LanguageGuess, ...]:
    async def run() -> tuple[LanguageGuess, ...]:
        async with pool.admit() as session:
            return await detect_spoken_language(opened, vad, session, ("en", "fr"))

    return asyncio.run(run())


def test_the_first_speech_is_enough() -> None:
    talk, pool = Talk(600.0), ScriptedPool(ScriptedEngine(language="fr"))
    guesses = detect(talk.opened(), ScriptedVad((12.0, 600.0)), pool)
    assert [guess.language for guess in guesses] == ["fr", "en"]
    [call] = pool.calls
    assert (call.samples, call.among, call.job_class) == (30 * SAMPLE_RATE, ("en", "fr"), JobClass.SHORT_RECORDING)
    assert talk.read <= 8
    assert talk.is_closed


def test_pauses_are_left_out() -> None:
    pool = ScriptedPool()
    detect(Talk(40.0).opened(), ScriptedVad((1.0, 3.0), (30.0, 32.0)), pool)
    assert pool.calls[0].samples == pytest.approx(5.0 * SAMPLE_RATE, rel=0.02)  # with the margins of both


def test_silence_is_asked_about_by_nobody() -> None:
    pool = ScriptedPool()
    assert detect(Talk(20.0).opened(), ScriptedVad(), pool) == ()
    assert detect(Talk(0.0).opened(), ScriptedVad(), pool) == ()
    assert pool.calls == []


def test_channels_are_mixed() -> None:
    pool = ScriptedPool()
    detect(Talk(5.0, channels=2).opened(), ScriptedVad((0.0, 5.0)), pool)
    assert len(pool.calls) == 1


def test_what_cannot_be_read_is_told() -> None:
    @contextmanager
    def broken() -> Iterator[DecodedAudio]:
        raise BadAudio
        yield

    with pytest.raises(BadAudio):
        detect(broken(), ScriptedVad(), ScriptedPool())


def test_a_client_that_leaves_ends_the_reading_and_the_file_is_closed_first() -> None:
    reading, cancelled = threading.Event(), threading.Event()

    class Endless(Talk):
        def blocks(self) -> Iterator[PcmBlock]:
            while True:
                reading.set()
                yield np.zeros((1, SAMPLE_RATE), np.float32)
                cancelled.wait()

    talk = Endless(0.0)

    async def run() -> None:
        async with ScriptedPool().admit() as session:
            detection = asyncio.ensure_future(detect_spoken_language(talk.opened(), ScriptedVad(), session, ()))
            await asyncio.to_thread(reading.wait)
            detection.cancel()
            asyncio.get_running_loop().call_soon(cancelled.set)
            with pytest.raises(asyncio.CancelledError):
                await detection
            assert talk.is_closed

    asyncio.run(run())
