"""The pipeline of one recording: order, bounds, failures. Scripted engine, no sleeping."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest

from app.domain.audio import PcmBlock
from app.domain.errors import EngineFailed
from app.domain.options import DecodeOptions
from app.domain.ports import JobClass
from app.domain.transcript import Segment
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from app.services.recording import RecognisedChannel, RecordingPipeline


class Audio:
    """``seconds`` of silence in ten-second blocks; counts the blocks that were read."""

    sample_rate = 16_000

    def __init__(self, seconds: int, channels: int = 1) -> None:
        self.channels = channels
        self.read = 0
        self._blocks = seconds // 10

    def blocks(self) -> Iterator[PcmBlock]:
        for _ in range(self._blocks):
            self.read += 1
            yield np.zeros((self.channels, 160_000), np.float32)


def run(
    pool: ScriptedPool,
    audio: Audio,
    vad: ScriptedVad,
    options: DecodeOptions | None = None,
    *,
    multichannel: bool = False,
    in_flight: int = 3,
) -> tuple[list[RecognisedChannel], float]:
    async def scenario() -> tuple[list[RecognisedChannel], float]:
        async with pool.admit() as session:
            pipeline = RecordingPipeline(vad, session, options or DecodeOptions(), in_flight=in_flight)
            return await pipeline.run(nullcontext(audio), multichannel=multichannel, on_progress=None)

    return asyncio.run(asyncio.wait_for(scenario(), 30))


def test_words_land_where_they_were_said() -> None:
    pool = ScriptedPool(ScriptedEngine(say("Hello.", start_s=0.3)))
    (channel,), duration_s = run(pool, Audio(60), ScriptedVad((5.0, 6.0), (40.0, 41.0)))
    starts = [word.start_s for segment in channel.segments for word in segment.words]
    assert starts == pytest.approx([5.0, 40.0], abs=0.05)
    assert duration_s == 60.0


def test_silence_costs_no_decode() -> None:
    pool = ScriptedPool()
    (channel,), duration_s = run(pool, Audio(600), ScriptedVad())
    assert (channel.segments, duration_s, pool.calls) == ((), 600.0, [])


def test_the_first_half_minute_goes_before_the_rest() -> None:
    pool = ScriptedPool()
    run(pool, Audio(120), ScriptedVad((1.0, 2.0), (20.0, 21.0), (50.0, 51.0)))
    assert [call.job_class for call in pool.calls] == [
        JobClass.SHORT_RECORDING,
        JobClass.SHORT_RECORDING,
        JobClass.LONG_RECORDING,
    ]


def test_a_long_file_is_read_no_faster_than_it_is_recognised() -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        pool = ScriptedPool(delay=gate.wait)
        audio = Audio(3600)
        vad = ScriptedVad(*((float(at), at + 1.0) for at in range(0, 3600, 5)))
        async with pool.admit() as session:
            pipeline = RecordingPipeline(vad, session, DecodeOptions(), in_flight=3)
            work = asyncio.ensure_future(pipeline.run(nullcontext(audio), multichannel=False, on_progress=None))
            while pool.started < 3:
                await asyncio.sleep(0)
            for _ in range(200):
                await asyncio.sleep(0)
            assert pool.started == 3
            assert audio.read < 10
            gate.set()
            await work
        assert audio.read == 360

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_failed_decode_ends_the_recording_before_its_end() -> None:
    pool = ScriptedPool(ScriptedEngine(failures=[EngineFailed()] * 1000))
    audio = Audio(3600)
    with pytest.raises(EngineFailed):
        run(pool, audio, ScriptedVad(*((float(at), at + 1.0) for at in range(0, 3600, 5))))
    assert audio.read < 100
    assert pool.started == pool.ended


def test_the_language_is_detected_once_per_channel_and_then_used() -> None:
    pool = ScriptedPool(ScriptedEngine(say("Hola."), language="es"))
    options = DecodeOptions(language=None, languages=("es", "fr"))
    channels, _ = run(pool, Audio(60, channels=2), ScriptedVad((1.0, 15.0), (30.0, 31.0)), options, multichannel=True)
    detections = [call for call in pool.calls if call.options is None]
    assert [call.among for call in detections] == [("es", "fr")] * 2
    assert {call.options.language for call in pool.calls if call.options is not None} == {"es"}
    assert [channel.language for channel in channels] == ["es", "es"]


def test_a_channel_without_speech_has_no_detected_language() -> None:
    (channel,), _ = run(ScriptedPool(), Audio(20), ScriptedVad(), DecodeOptions(language=None))
    assert channel.detected is None


def test_channels_are_mixed_unless_they_are_to_be_heard_apart() -> None:
    assert len(run(ScriptedPool(), Audio(20, channels=3), ScriptedVad())[0]) == 1
    assert len(run(ScriptedPool(), Audio(20, channels=3), ScriptedVad(), multichannel=True)[0]) == 3


def test_a_file_is_never_closed_under_the_thread_that_reads_it() -> None:
    happened: list[str] = []
    reading, go_on = threading.Event(), threading.Event()

    class SlowAudio(Audio):
        def blocks(self) -> Iterator[PcmBlock]:
            reading.set()
            go_on.wait(10)
            happened.append("read")
            yield np.zeros((1, 16_000), np.float32)

    @contextmanager
    def opened() -> Iterator[Audio]:
        yield SlowAudio(10)
        happened.append("closed")

    async def scenario() -> None:
        pool = ScriptedPool()
        async with pool.admit() as session:
            pipeline = RecordingPipeline(ScriptedVad(), session, DecodeOptions(), in_flight=3)
            work = asyncio.ensure_future(pipeline.run(opened(), multichannel=False, on_progress=None))
            await asyncio.get_running_loop().run_in_executor(None, reading.wait)
            work.cancel()
            await asyncio.sleep(0)
            work.cancel()  # impatience changes nothing
            await asyncio.sleep(0)
            assert happened == []
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await work

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert happened == ["read", "closed"]


def heard_while_decoding(
    pool: ScriptedPool, audio: Audio, vad: ScriptedVad, **given: Any
) -> list[tuple[int, int, str, str]]:
    """(decodes that have ended, channel, language, text) of every piece, at the moment it was told."""
    told: list[tuple[int, int, str, str]] = []

    def hear(channel_index: int, language: str, segments: tuple[Segment, ...]) -> None:
        told.append((pool.ended, channel_index, language, " ".join(segment.text for segment in segments)))

    async def scenario() -> list[RecognisedChannel]:
        async with pool.admit() as session:
            pipeline = RecordingPipeline(vad, session, DecodeOptions(**given), in_flight=3, on_heard=hear)
            return (await pipeline.run(nullcontext(audio), multichannel=audio.channels > 1, on_progress=None))[0]

    channels = asyncio.run(asyncio.wait_for(scenario(), 30))
    for index, channel in enumerate(channels):
        assert " ".join(text for _, at, _, text in told if at == index) == " ".join(s.text for s in channel.segments)
    return told


def test_the_first_words_of_five_minutes_are_told_before_a_fifth_of_them_is_decoded() -> None:
    pool = ScriptedPool(ScriptedEngine(say("On and on.")))
    told = heard_while_decoding(pool, Audio(300), ScriptedVad((0.0, 300.0)))
    assert told[0][0] < 0.2 * len(pool.calls)
    assert [ended for ended, *_ in told] == sorted(ended for ended, *_ in told)


def test_the_first_words_wait_for_no_more_than_the_language() -> None:
    pool = ScriptedPool(ScriptedEngine(say("Hola."), language="es"))
    told = heard_while_decoding(pool, Audio(300), ScriptedVad((0.0, 300.0)), language=None)
    assert told[0][0] < 0.2 * len(pool.calls)
    assert {language for _, _, language, _ in told} == {"es"}


def test_pieces_are_told_in_order_whatever_is_done_first() -> None:
    gates: list[asyncio.Event] = []

    async def delay() -> None:
        gates.append(asyncio.Event())
        await gates[-1].wait()

    async def scenario() -> list[str]:
        pool = ScriptedPool(ScriptedEngine(say("One."), say("Two."), say("Three.")), workers=3, delay=delay)
        told: list[str] = []

        def hear(_: int, __: str, segments: tuple[Segment, ...]) -> None:
            told.extend(f"{segment.text} {segment.start_s:.0f}" for segment in segments)

        async with pool.admit() as session:
            vad = ScriptedVad((1.0, 2.0), (20.0, 21.0), (40.0, 41.0))
            pipeline = RecordingPipeline(vad, session, DecodeOptions(), in_flight=3, on_heard=hear)
            work = asyncio.ensure_future(pipeline.run(nullcontext(Audio(60)), multichannel=False, on_progress=None))
            while len(gates) < 3:
                await asyncio.sleep(0)
            for index in (2, 1):
                gates[index].set()
                while pool.ended < 3 - index:
                    await asyncio.sleep(0)
                for _ in range(10):
                    await asyncio.sleep(0)
                assert told == []
            gates[0].set()
            await work
        return told

    # the scripts go by which decode is answered first, the times by which chunk it was
    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == ["Three. 1", "Two. 20", "One. 40"]


def test_segments_say_where_their_window_began() -> None:
    pool = ScriptedPool(ScriptedEngine(say("Hello there. Good bye.", start_s=0.3)))
    (channel,), _ = run(pool, Audio(60), ScriptedVad((5.0, 8.0), (40.0, 43.0)))
    starts = [segment.window_start_s for segment in channel.segments]
    assert starts == pytest.approx([4.7, 4.7, 39.7, 39.7], abs=0.05)
