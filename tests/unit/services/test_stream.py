"""The shell of a live stream: order, backpressure, clients that leave or do not read, engines that fail. Time is virtual."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import tracemalloc
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import Any

import numpy as np
import pytest

from app.domain.audio import SAMPLE_RATE, PcmBlock, samples
from app.domain.errors import BadAudio, EngineFailed
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, JobClass, StreamDecoder
from app.domain.stream.events import CloseStream, Control, Finalize, KeepAlive, Metadata, Results, Unparsable
from app.domain.stream.options import StreamOptions
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from app.services.hearing import PIECE_SAMPLES, SLICE_BYTES, Hearing
from app.services.inbox import READ_AHEAD_BYTES
from app.services.joint_vad import JointVad
from app.services.outgoing import SEND_TIMEOUT_S
from app.services.stream import BACKLOG_SAMPLES, DECODE_TIMEOUT_S, UNSENT_EVENTS, LiveStream
from tests.support.live_shell import ListLink, Step, run_virtually, settle

SPEECH = "Hello world. How are you?"
EVERYTHING_INLINE = 1 << 30


class Linear16:
    """Fulfils ``StreamDecoder``: 16 kHz, the remainder kept. ``before_feed`` is called first; bytes ``bad`` are refused."""

    def __init__(self, channels: int = 1, before_feed: Callable[[], object] = lambda: None, bad: bytes = b"bad!") -> None:
        self.channels: int | None = channels
        self.sizes: list[int] = []
        self.closed = False
        self._before_feed = before_feed
        self._bad = bad
        self._rest = b""

    def feed(self, data: bytes) -> PcmBlock:
        self._before_feed()
        self.sizes.append(len(data))
        if data == self._bad:
            raise BadAudio
        data = self._rest + data
        frame = 2 * (self.channels or 1)
        whole = len(data) // frame * frame
        self._rest = data[whole:]
        values = np.frombuffer(data[:whole], "<i2").astype(np.float32) / 32_768
        return np.ascontiguousarray(values.reshape(-1, self.channels or 1).T)

    def flush(self) -> PcmBlock:
        return np.zeros((self.channels or 1, 0), np.float32)

    def close(self) -> None:
        self.closed = True


class Scene:
    """One stream with everything around it; made inside the loop."""

    def __init__(
        self,
        *items: bytes | Control | Step,
        pool: ScriptedPool | None = None,
        speech: tuple[tuple[float, float], ...] = ((0.0, 3600.0),),
        decoder: StreamDecoder | None = None,
        multichannel: bool = False,
        options: StreamOptions | None = None,
        gather_s: float = 0,
    ) -> None:
        self.link = ListLink(*items)
        self.pool = pool or ScriptedPool(ScriptedEngine(say(SPEECH)))
        self.decoder = decoder or Linear16()
        self._speech = speech
        self._multichannel = multichannel
        self._options = options or StreamOptions()
        self._gather_s = gather_s
        self.stream: LiveStream

    async def run(self) -> Scene:
        async with self.pool.admit(live=True) as session:
            vad = JointVad(ScriptedVad(*self._speech), gather_s=self._gather_s)
            hearing = Hearing(self.decoder, vad, multichannel=self._multichannel, inline_bytes=EVERYTHING_INLINE)
            self.stream = LiveStream(self.link, session, hearing, self._options, DecodeOptions())
            await self.stream.run()
        assert self.pool.started == self.pool.ended
        return self

    @property
    def words(self) -> list[str]:
        return [word.text for final in self.link.finals for word in final.words]


def play(*items: bytes | Control | Step, **given: object) -> Scene:
    """Run one stream to its end."""

    async def main() -> Scene:
        return await Scene(*items, **given).run()  # type: ignore[arg-type]

    return run_virtually(main)


def sound(seconds: float) -> bytes:
    return np.arange(samples(seconds), dtype="<i2").tobytes()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def wait(seconds: float) -> Step:
    """The client is silent for this long."""
    return lambda: asyncio.sleep(seconds)


def held() -> tuple[asyncio.Event, Callable[[], Awaitable[object]]]:
    """Answers of the engine held back until the event is set."""
    event = asyncio.Event()
    return event, event.wait


class TestOrder:
    def test_a_talk_ends_with_its_finals_the_metadata_and_a_normal_close(self) -> None:
        scene = play(sound(2.0), CloseStream())
        assert scene.words == SPEECH.split()
        assert scene.link.names == ["Results", "Metadata"]
        assert scene.link.received[-1] == Metadata(samples(2.0), 1)
        assert scene.link.closed == (1000, "")
        assert scene.decoder.closed  # type: ignore[attr-defined]
        assert (scene.stream.counts.finals, scene.stream.counts.audio_s) == (1, 2.0)

    def test_the_digest_is_of_all_audio_bytes_half_samples_included(self) -> None:
        data = sound(1.0) + b"\x01"
        scene = play(*cut(data, 999), CloseStream())
        assert scene.link.sha256 == hashlib.sha256(data).hexdigest()

    def test_the_cut_into_messages_changes_nothing(self) -> None:
        data = sound(6.0)
        talk = ((0.5, 1.5), (3.0, 4.5))
        whole = play(data, CloseStream(), speech=talk).link.received
        assert len(whole) > 3
        for size in (997, 3200, 64_001):
            assert play(*cut(data, size), CloseStream(), speech=talk).link.received == whole

    def test_nothing_counts_after_the_close_of_the_stream(self) -> None:
        scene = play(sound(1.0), CloseStream(), sound(1.0), Finalize(), b"bad!", CloseStream())
        assert scene.link.names == ["Results", "Metadata"]
        assert scene.link.received[-1] == Metadata(samples(1.0), 1)
        assert scene.link.sha256 == hashlib.sha256(sound(1.0)).hexdigest()

    def test_finalize_and_close_at_once_give_one_final(self) -> None:
        scene = play(sound(1.0), Finalize(), CloseStream())
        assert [final.from_finalize for final in scene.link.finals] == [True]
        assert scene.link.names == ["Results", "Metadata"]

    def test_without_audio_there_is_metadata_of_nothing(self) -> None:
        scene = play(KeepAlive(), CloseStream())
        assert scene.link.received == [Metadata(0, 0)]
        assert scene.link.sha256 == hashlib.sha256(b"").hexdigest()
        assert scene.pool.calls == []

    def test_the_first_audio_settles_how_many_channels_there_are(self) -> None:
        scene = play(KeepAlive(), sound(2.0), CloseStream(), decoder=Linear16(channels=2), multichannel=True)
        assert [(final.channel_index, final.channels) for final in scene.link.finals] == [(0, 2), (1, 2)]
        assert scene.link.received[-1] == Metadata(samples(1.0), 2)

    def test_channels_are_mixed_unless_they_are_to_be_told_apart(self) -> None:
        scene = play(sound(2.0), CloseStream(), decoder=Linear16(channels=2))
        assert [(final.channel_index, final.channels) for final in scene.link.finals] == [(0, 1)]
        assert scene.link.received[-1] == Metadata(samples(1.0), 1)


class TestLargeMessages:
    @pytest.mark.parametrize("messages", [cut(sound(20.0), 3200), [sound(20.0)]])
    def test_sound_that_is_there_already_does_not_wait_for_that_of_others(self, messages: list[bytes]) -> None:
        async def main() -> float:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await Scene(*messages, CloseStream(), gather_s=1.0).run()
            return loop.time() - began

        assert run_virtually(main) == 0

    def test_are_heard_in_slices_so_that_others_get_their_turn(self) -> None:
        decoder = Linear16()
        data = sound(30.0)
        scene = play(data, CloseStream(), decoder=decoder, speech=())
        assert max(decoder.sizes) == SLICE_BYTES
        assert sum(decoder.sizes) == len(data)
        assert scene.link.received[-1] == Metadata(samples(30.0), 1)

    def test_a_little_data_that_unpacks_to_a_lot_is_given_on_in_pieces(self) -> None:
        class Bomb(Linear16):
            def feed(self, data: bytes) -> PcmBlock:
                return np.zeros((1, 25 * PIECE_SAMPLES), np.float32)

        scene = play(b"boom", CloseStream(), decoder=Bomb(), speech=())
        assert scene.link.received[-1] == Metadata(25 * PIECE_SAMPLES, 1)


class TestBackpressure:
    def test_a_client_that_is_faster_than_the_engine_is_held_back_and_loses_nothing(self) -> None:
        async def main() -> None:
            released, delay = held()
            scene = Scene(
                *cut(sound(300.0), 32_000), CloseStream(), pool=ScriptedPool(ScriptedEngine(say(SPEECH)), delay=delay)
            )
            running = asyncio.ensure_future(scene.run())
            await settle()
            await asyncio.sleep(25.0)  # longer than the idle limit: it is we who do not read
            heard_s = scene.stream.counts.audio_s
            assert heard_s <= (BACKLOG_SAMPLES / SAMPLE_RATE) + 15.0 + 1.0
            assert scene.link.asked <= heard_s + READ_AHEAD_BYTES / 32_000 + 2
            released.set()
            await running
            assert scene.stream.counts.audio_s == 300.0
            assert scene.link.received[-1] == Metadata(samples(300.0), 1)
            assert scene.link.closed == (1000, "")

        run_virtually(main)

    def test_a_client_that_does_not_read_is_given_up_even_if_the_close_does_not_get_through(self) -> None:
        async def main() -> None:
            scene = Scene(sound(1.0), Finalize(), wait(1.0), *repeat(KeepAlive(), 100))
            scene.link.reading.clear()
            began = asyncio.get_running_loop().time()
            keep_alive = asyncio.ensure_future(_keep_alive(scene.link))
            await scene.run()
            keep_alive.cancel()
            await asyncio.gather(keep_alive, return_exceptions=True)
            assert SEND_TIMEOUT_S <= asyncio.get_running_loop().time() - began < SEND_TIMEOUT_S + 3
            assert scene.link.closed == (1011, "NET-0000")
            assert scene.link.received == []

        run_virtually(main)

    def test_a_flood_of_messages_that_each_get_an_answer_does_not_pile_up(self) -> None:
        async def main() -> None:
            scene = Scene(*repeat(Unparsable("x"), 5000))
            scene.link.reading.clear()
            running = asyncio.ensure_future(scene.run())
            await settle()
            await asyncio.sleep(1.0)
            assert scene.link.asked < UNSENT_EVENTS + READ_AHEAD_BYTES / 256 + 10
            scene.link.reading.set()
            await settle()
            await asyncio.sleep(1.0)
            assert len(scene.link.received) == 5000
            scene.link.hang_up()
            await running

        run_virtually(main)


async def _keep_alive(link: ListLink) -> None:
    while True:
        await asyncio.sleep(5.0)
        link.items.append(KeepAlive())


class TestClientsThatLeave:
    def test_their_decodes_are_dropped(self) -> None:
        async def main() -> None:
            _, delay = held()
            pool = ScriptedPool(ScriptedEngine(say(SPEECH)), delay=delay)
            scene = Scene(sound(2.0), Finalize(), pool=pool)
            running = asyncio.ensure_future(scene.run())
            await settle()
            assert pool.started == 1
            scene.link.hang_up()
            await running
            assert pool.ended == 1
            assert pool.calls == []
            assert scene.link.closed is None

        run_virtually(main)

    def test_after_the_close_of_the_stream_nobody_decodes_for_them_either(self) -> None:
        async def main() -> None:
            _, delay = held()
            scene = Scene(sound(2.0), CloseStream(), pool=ScriptedPool(ScriptedEngine(say(SPEECH)), delay=delay))
            running = asyncio.ensure_future(scene.run())
            await settle()
            scene.link.hang_up()
            await running
            assert scene.pool.calls == []

        run_virtually(main)

    def test_it_is_noticed_while_their_audio_still_waits(self) -> None:
        async def main() -> None:
            _, delay = held()
            scene = Scene(sound(600.0), pool=ScriptedPool(ScriptedEngine(say(SPEECH)), delay=delay))
            running = asyncio.ensure_future(scene.run())
            await settle()
            scene.link.hang_up()
            await running
            assert scene.stream.counts.audio_s < 60.0

        run_virtually(main)

    def test_a_message_to_them_ends_the_stream(self) -> None:
        class Vanishing(ListLink):
            async def send(self, event: object, sha256: str) -> None:
                self.hang_up()
                await self._out()

        async def main() -> None:
            scene = Scene()
            scene.link = Vanishing(sound(1.0), Finalize())
            await scene.run()
            assert scene.link.received == []

        run_virtually(main)

    def test_a_stream_that_is_cancelled_leaves_nothing_behind(self) -> None:
        async def main() -> None:
            _, delay = held()
            pool = ScriptedPool(ScriptedEngine(say(SPEECH)), delay=delay)
            scene = Scene(sound(2.0), Finalize(), pool=pool)
            running = asyncio.ensure_future(scene.run())
            await settle()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert pool.started == pool.ended == 1
            assert scene.decoder.closed  # type: ignore[attr-defined]

        run_virtually(main)


class TestIdleClients:
    def test_neither_audio_nor_keep_alive_for_ten_seconds_ends_the_stream(self) -> None:
        async def main() -> None:
            began = asyncio.get_running_loop().time()
            scene = await Scene(wait(4.0), sound(0.1), speech=()).run()
            assert asyncio.get_running_loop().time() - began == pytest.approx(14.0, abs=0.01)
            assert scene.link.closed == (1011, "NET-0001")
            assert scene.link.received == []

        run_virtually(main)

    def test_keep_alive_holds_it(self) -> None:
        pulses = [step for _ in range(12) for step in (wait(5.0), KeepAlive())]
        scene = play(sound(0.1), *pulses, CloseStream(), speech=())
        assert scene.link.closed == (1000, "")

    def test_keep_alive_alone_holds_it(self) -> None:
        pulses = [step for _ in range(6) for step in (wait(5.0), KeepAlive())]
        scene = play(*pulses, CloseStream())
        assert (scene.link.received, scene.link.closed) == ([Metadata(0, 0)], (1000, ""))

    def test_bytes_that_are_not_yet_a_sample_hold_it(self) -> None:
        drops = [step for _ in range(4) for step in (wait(8.0), b"x")]
        scene = play(*drops, CloseStream(), decoder=Linear16(channels=4))
        assert scene.link.closed == (1000, "")

    def test_text_that_means_nothing_does_not(self) -> None:
        scene = play(wait(6.0), Unparsable("x"), wait(6.0))
        assert scene.link.closed == (1011, "NET-0001")


class TestFailures:
    def test_bytes_that_are_no_audio_close_the_stream_as_the_contract_says(self) -> None:
        scene = play(sound(1.0), b"bad!", sound(1.0))
        assert scene.link.closed == (1008, "DATA-0000")
        assert "Metadata" not in scene.link.names

    def test_a_decode_that_fails_gives_an_empty_final_and_is_counted(self) -> None:
        pool = ScriptedPool(ScriptedEngine(say(SPEECH), failures=[EngineFailed()]))
        scene = play(sound(1.0), Finalize(), sound(1.0), CloseStream(), pool=pool)
        assert [len(final.words) for final in scene.link.finals] == [0, 3]
        assert scene.stream.counts.lost_segments == 1
        assert scene.link.closed == (1000, "")

    def test_so_does_an_engine_that_breaks_in_a_way_nobody_thought_of(self) -> None:
        pool = ScriptedPool(ScriptedEngine(say(SPEECH), failures=[ZeroDivisionError()]))
        scene = play(sound(1.0), CloseStream(), pool=pool)
        assert scene.words == []
        assert scene.stream.counts.lost_segments == 1
        assert scene.link.closed == (1000, "")

    def test_so_does_an_engine_that_never_answers(self) -> None:
        async def main() -> None:
            _, delay = held()
            scene = Scene(sound(1.0), CloseStream(), pool=ScriptedPool(ScriptedEngine(say(SPEECH)), delay=delay))
            began = asyncio.get_running_loop().time()
            await scene.run()
            assert asyncio.get_running_loop().time() - began == pytest.approx(DECODE_TIMEOUT_S)
            assert scene.stream.counts.lost_segments == 1
            assert scene.link.closed == (1000, "")

        run_virtually(main)

    def test_an_error_of_our_own_closes_with_1011_and_is_raised(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        async def main() -> None:
            scene = Scene(sound(1.0), decoder=Linear16(before_feed=fail))
            with pytest.raises(ZeroDivisionError):
                await scene.run()
            assert scene.link.closed == (1011, "internal error")
            assert scene.decoder.closed  # type: ignore[attr-defined]

        run_virtually(main)


class TestShutdown:
    def test_what_was_heard_is_finished_first(self) -> None:
        async def main() -> None:
            released, delay = held()
            scene = Scene(sound(1.0), pool=ScriptedPool(ScriptedEngine(say(SPEECH)), delay=delay))
            running = asyncio.ensure_future(scene.run())
            await settle()
            scene.stream.shut_down()
            await settle()
            assert scene.link.closed is None
            released.set()
            await running
            assert scene.words == ["Hello", "world.", "How"]
            assert scene.link.names == ["Results", "Metadata"]
            assert scene.link.closed == (1001, "")

        run_virtually(main)

    def test_a_client_that_is_held_back_is_let_go(self) -> None:
        async def main() -> None:
            released, delay = held()
            scene = Scene(sound(300.0), pool=ScriptedPool(ScriptedEngine(say(SPEECH)), delay=delay))
            running = asyncio.ensure_future(scene.run())
            await settle()
            scene.stream.shut_down()
            released.set()
            await running
            assert scene.link.closed == (1001, "")
            assert scene.stream.counts.audio_s < 60.0

        run_virtually(main)

    def test_it_may_come_before_any_audio_and_twice(self) -> None:
        async def main() -> None:
            scene = Scene()
            running = asyncio.ensure_future(scene.run())
            await settle()
            scene.stream.shut_down()
            scene.stream.shut_down()
            await running
            assert scene.link.received == [Metadata(0, 0)]
            assert scene.link.closed == (1001, "")

        run_virtually(main)

    def test_it_may_come_while_the_first_audio_of_two_channels_is_being_decoded(self) -> None:
        """That audio would settle the channels; the stream must not begin anew for it."""

        async def main() -> None:
            scene = Scene(multichannel=True)
            scene.decoder = Linear16(channels=2, before_feed=lambda: scene.stream.shut_down())
            scene.link.items.append(sound(1.0))
            await scene.run()
            assert scene.link.received == [Metadata(0, 0)]
            assert scene.link.closed == (1001, "")

        run_virtually(main)


class TestDecodes:
    def test_interims_are_greedy_and_finals_are_not(self) -> None:
        options = StreamOptions(interim_results=True)
        scene = play(
            *(step for block in cut(sound(3.0), 3200) for step in (block, wait(0.1))), CloseStream(), options=options
        )
        asked = {call.job_class: call.options for call in scene.pool.calls}
        interim, final = asked[JobClass.INTERIM], asked[JobClass.FINALIZE]
        assert interim is not None
        assert final is not None
        assert (interim.temperature_fallback, interim.beam_size) == (False, 1)
        assert final.temperature_fallback
        results = [event for event in scene.link.received if isinstance(event, Results)]
        counts = scene.stream.counts
        assert counts.interims == sum(not result.is_final for result in results) > 2
        assert counts.finals == sum(result.is_final for result in results)

    def test_a_speculation_that_finals_left_no_time_for_is_asked_for_again_when_it_is_one(self) -> None:
        scene = self.refused_once(speech=((0.0, 2.0),))
        assert scene.words == SPEECH.split()
        assert [call.job_class for call in scene.pool.calls] == [JobClass.SPECULATION, JobClass.FINAL]

    def test_a_speculation_that_was_refused_and_becomes_an_interim_is_forgotten(self) -> None:
        scene = self.refused_once(speech=((0.0, 1.0), (1.1, 2.0)), interim_results=True, first_interim_s=10.0)
        assert scene.words == SPEECH.split()
        assert [call.job_class for call in scene.pool.calls] == [JobClass.SPECULATION, JobClass.SPECULATION]

    def test_a_speculation_that_was_refused_and_is_called_off_leaves_nothing(self) -> None:
        scene = self.refused_once(speech=((0.0, 1.0), (1.1, 2.0)))
        assert scene.words == SPEECH.split()
        assert scene.stream.counts.dropped_jobs == 1

    def refused_once(self, *, speech: tuple[tuple[float, float], ...], **options: Any) -> Scene:
        """Four seconds in real time; the engine has no time for the first decode that it is asked for."""
        audio = [step for block in cut(sound(4.0), 3_200) for step in (block, wait(0.1))]
        pool = ScriptedPool(ScriptedEngine(say(SPEECH), failures=[Aborted()]))
        return play(*audio, CloseStream(), pool=pool, speech=speech, options=StreamOptions(endpointing_s=0.3, **options))

    def test_an_interim_may_be_due_at_once_on_any_event_loop(self) -> None:
        """uvloop's handle for "now" is of another kind than the one for later."""
        uvloop = pytest.importorskip("uvloop")
        options = StreamOptions(interim_results=True, interim_min_gap_s=0.0)
        loop = uvloop.new_event_loop()
        try:
            scene = loop.run_until_complete(Scene(*cut(sound(3.0), 3200), CloseStream(), options=options).run())
        finally:
            loop.close()
        assert scene.words == SPEECH.split()
        assert scene.link.closed == (1000, "")

    def test_an_hour_of_silence_costs_no_engine_and_no_memory(self) -> None:
        class Forgetting(ListLink):
            async def send(self, event: object, sha256: str) -> None:
                assert not getattr(event, "words", ())

        held_bytes: list[int] = []

        async def weigh() -> None:
            scene_decoder.sizes.clear()
            gc.collect()
            held_bytes.append(tracemalloc.get_traced_memory()[0])

        scene_decoder = Linear16()

        async def main() -> Scene:
            ten_minutes = [bytes(32_000)] * 600
            options = StreamOptions(interim_results=True, utterance_end_s=1.0, vad_events=True)
            scene = Scene(speech=(), options=options, decoder=scene_decoder)
            scene.link = Forgetting(*(item for _ in range(6) for item in (*ten_minutes, weigh)), CloseStream())
            return await scene.run()

        tracemalloc.start()
        try:
            scene = run_virtually(main)
        finally:
            tracemalloc.stop()
        assert scene.pool.started == 0
        assert scene.stream.counts.audio_s == 3600.0
        assert scene.stream.counts.finals >= 3600 / 5
        assert max(held_bytes) - held_bytes[0] < 50_000
