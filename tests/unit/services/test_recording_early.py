"""Recordings whose decode begins before speech detection has ended: what is kept of it, and what is broken off."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain.audio import Pcm16k, PcmBlock
from app.domain.chunking import ChunkingOptions
from app.domain.early import likely_chunk
from app.domain.errors import EngineFailed
from app.domain.options import DecodeOptions
from app.domain.ports import VadStream
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from app.services import recording
from app.services.recording import RecognisedChannel, RecordingPipeline

RATE = 16_000


def talk(seconds: float, *loud: tuple[float, float]) -> Pcm16k:
    """Silence with a tone in each of ``loud``."""
    times_s = np.arange(int(seconds * RATE)) / RATE
    voiced = np.zeros(times_s.size, bool)
    for start_s, end_s in loud:
        voiced |= (times_s >= start_s) & (times_s < end_s)
    return np.where(voiced, 0.3 * np.sin(times_s * 1400), 0.0).astype(np.float32)


class Audio:
    """``pcm`` on ``channels`` equal channels, in ten-second blocks."""

    sample_rate = RATE

    def __init__(self, pcm: Pcm16k, channels: int = 1) -> None:
        self.channels = channels
        self._pcm = pcm

    def blocks(self) -> Iterator[PcmBlock]:
        for begin in range(0, self._pcm.size, 10 * RATE):
            yield np.tile(self._pcm[begin : begin + 10 * RATE], (self.channels, 1))


def run(
    pool: ScriptedPool,
    pcm: Pcm16k,
    vad: ScriptedVad,
    *,
    options: DecodeOptions | None = None,
    channels: int = 1,
    multichannel: bool = False,
) -> list[RecognisedChannel]:
    async def scenario() -> list[RecognisedChannel]:
        async with pool.admit() as session:
            pipeline = RecordingPipeline(
                vad, session, options or DecodeOptions(), in_flight=3, chunking=ChunkingOptions(), begin_early=True
            )
            recognised, duration_s = await pipeline.run(
                nullcontext(Audio(pcm, channels)), multichannel=multichannel, on_progress=None
            )
        assert duration_s == pcm.size / RATE
        assert pool.started == pool.ended
        return recognised

    return asyncio.run(asyncio.wait_for(scenario(), 30))


def starts(channel: RecognisedChannel) -> list[float]:
    return [word.start_s for segment in channel.segments for word in segment.words]


class SlowVad(ScriptedVad):
    """Finds nothing out before ``may_end`` is set."""

    may_end = threading.Event()

    def stream(self) -> VadStream:
        inner, may_end = super().stream(), self.may_end

        class Slow:
            def feed(self, pcm: Pcm16k) -> NDArray[np.float32]:
                assert may_end.wait(20)
                return inner.feed(pcm)

        return Slow()


def test_words_are_there_before_speech_detection_is() -> None:
    vad = SlowVad((1.0, 3.0))

    async def tell() -> None:
        vad.may_end.set()

    pool = ScriptedPool(ScriptedEngine(say("Hello.", start_s=0.4)), delay=tell)
    (channel,) = run(pool, talk(4.0, (1.0, 3.0)), vad)
    assert starts(channel) == pytest.approx([1.0])
    assert [call.samples for call in pool.calls] == [int(2.8 * RATE)]


def test_a_decode_that_began_early_is_on_its_way_before_speech_detection_takes_the_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording, "HEAD_START_S", 20.0)  # so that no slow machine makes it too short
    happened: list[str] = []

    class Telling(ScriptedVad):
        def stream(self) -> VadStream:
            happened.append("detection")
            return super().stream()

    async def send() -> None:
        for _ in range(20):  # turns of the event loop, as a request takes
            await asyncio.sleep(0)
        happened.append("sent")

    pool = ScriptedPool(ScriptedEngine(say("Hello.", start_s=0.4)), delay=send)
    run(pool, talk(4.0, (1.0, 3.0)), Telling((1.0, 3.0)))
    assert happened == ["sent", "detection"]


@pytest.mark.parametrize(
    "speech",
    [
        (),  # a door, perhaps
        ((0.2, 3.0),),  # somebody whispers before
        ((2.0, 3.0),),  # a door, then a word
        ((1.0, 2.0),),
        ((1.0, 1.3), (3.6, 3.9)),
    ],
)
def test_what_was_begun_with_another_sound_is_broken_off(speech: tuple[tuple[float, float], ...]) -> None:
    early: list[asyncio.Event] = []

    async def first_never() -> None:
        if not early:
            early.append(asyncio.Event())
            await early[0].wait()

    pool = ScriptedPool(ScriptedEngine(say("Hello.", start_s=0.3)), delay=first_never)
    (channel,) = run(pool, talk(4.0, (1.0, 3.0)), ScriptedVad(*speech))
    assert early
    assert starts(channel) == pytest.approx([start_s for start_s, _ in speech], abs=0.11)
    assert len(pool.calls) == len(speech)


@pytest.mark.parametrize(
    "pcm",
    [
        talk(4.0),
        np.random.default_rng(1).normal(0, 0.1, 4 * RATE).astype(np.float32),
        0.001 * talk(4.0, (1.0, 3.0)),
        talk(31.0, (1.0, 30.0)),
        talk(0.01),
    ],
    ids=["silence", "noise", "nobody near", "more than a window", "less than a frame"],
)
def test_nothing_is_begun_with_what_does_not_sound_like_a_short_talk(pcm: Pcm16k) -> None:
    assert likely_chunk(pcm, 28.0) is None
    pool = ScriptedPool()
    run(pool, pcm, ScriptedVad())
    assert pool.started == 0


@pytest.mark.parametrize(("seconds", "decoded_s"), [(20.0, 17.8), (45.0, 17.5)])
def test_all_blocks_of_a_recording_are_heard(seconds: float, decoded_s: float) -> None:
    """20 s are begun early, with the margins of a guess; 45 s go the way of long ones."""
    pool = ScriptedPool(ScriptedEngine(say("Hello.", start_s=0.4)))
    (channel,) = run(pool, talk(seconds, (1.0, 3.0), (16.0, 18.0)), ScriptedVad((1.0, 3.0), (4.0, 15.0), (16.0, 18.0)))
    assert starts(channel)[0] == pytest.approx(1.0, abs=0.11)
    assert [call.samples / RATE for call in pool.calls] == pytest.approx([decoded_s], abs=0.05)


def test_channels_apart_and_unknown_languages_are_not_guessed() -> None:
    speech = (1.0, 3.0)
    for options, multichannel in ((DecodeOptions(), True), (DecodeOptions(language=None), False)):
        pool = ScriptedPool()
        run(pool, talk(4.0, speech), ScriptedVad(speech), options=options, channels=2, multichannel=multichannel)
        assert all(call.samples < 2.7 * RATE for call in pool.calls)


def test_a_failure_is_the_recordings_own() -> None:
    pool = ScriptedPool(ScriptedEngine(say("Hello."), failures=[EngineFailed()]))
    with pytest.raises(EngineFailed):
        run(pool, talk(4.0, (1.0, 3.0)), ScriptedVad((1.0, 3.0)))
