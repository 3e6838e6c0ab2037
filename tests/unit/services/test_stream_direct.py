"""Clients whose messages come by calls: the same is said to them as to those that tasks read from. Time is virtual."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import capture_logs

from app.audio.live import LiveDecoders
from app.domain.audio import AudioFormat, AudioLimits, samples
from app.domain.errors import ClientGone, EngineFailed
from app.domain.options import DecodeOptions
from app.domain.stream.events import CloseStream, Control, Finalize, KeepAlive, Metadata, Results, StreamEvent
from app.domain.stream.options import StreamOptions
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from app.services.hearing import Hearing
from app.services.inbox import READ_AHEAD_BYTES, DirectLink
from app.services.joint_vad import JointVad
from app.services.stream import LiveStream
from tests.support.live_shell import ListLink, run_virtually, settle

SPEECH = "Hello world. How are you?"
TALK = ((0.5, 2.5), (4.0, 5.5))


class PushLink:
    """Fulfils ``DirectLink``. ``takes_now`` cleared: what is sent has to wait for ``reading``."""

    def __init__(self) -> None:
        self.put: Callable[[bytes | Control | None], None] = lambda _: None
        self.received: list[StreamEvent] = []
        self.sent_now = 0
        self.takes_now = True
        self.reading = asyncio.Event()
        self.reading.set()
        self.holds: list[bool] = []
        self.closed: tuple[int, str] | None = None
        self.is_gone = False

    def listen(self, put: Callable[[bytes | Control | None], None]) -> None:
        self.put = put

    def hold_back(self, hold: bool) -> None:
        self.holds.append(hold)

    def send_now(self, event: StreamEvent) -> bool:
        if self.takes_now:
            self.sent_now += 1
            self.received.append(event)
        return self.takes_now

    def leave(self) -> None:
        self.is_gone = True
        self.put(None)
        self.put(None)

    async def receive(self) -> bytes | Control | None:
        raise AssertionError("nobody asks a client that calls")

    async def send(self, event: StreamEvent, sha256: str) -> None:
        await self.reading.wait()
        if self.is_gone:
            raise ClientGone
        self.received.append(event)

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self.leave()


def stream_of(link: PushLink | ListLink, pool: ScriptedPool, session: object, vad: JointVad | None = None) -> LiveStream:
    decoder = LiveDecoders().open(AudioFormat("linear16", 16_000, 1), AudioLimits(60))
    hearing = Hearing(decoder, vad or JointVad(ScriptedVad(*TALK)), multichannel=False, inline_bytes=16_000)
    options = StreamOptions(interim_results=True, utterance_end_s=1.0, vad_events=True)
    return LiveStream(link, session, hearing, options, DecodeOptions())  # type: ignore[arg-type]


def messages(seconds: float, size: int = 3200) -> list[bytes]:
    data = (np.arange(samples(seconds)) % 1000).astype("<i2").tobytes()
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


async def pushed(items: list[bytes | Control], every_s: float) -> PushLink:
    link = PushLink()
    pool = ScriptedPool(ScriptedEngine(say(SPEECH)))
    async with pool.admit(live=True) as session:
        running = asyncio.ensure_future(stream_of(link, pool, session).run())
        await settle()
        for item in items:
            link.put(item)
            if every_s:
                await asyncio.sleep(every_s)
        await running
    return link


async def pulled(items: list[bytes | Control], every_s: float) -> ListLink:
    steps = [step for item in items for step in (item, lambda: asyncio.sleep(every_s))]
    link = ListLink(*steps)
    pool = ScriptedPool(ScriptedEngine(say(SPEECH)))
    async with pool.admit(live=True) as session:
        await stream_of(link, pool, session).run()
    return link


def finals(events: list[StreamEvent]) -> list[StreamEvent]:
    return [event for event in events if not isinstance(event, Results) or event.is_final]


def test_the_link_is_what_the_shell_looks_for() -> None:
    async def main() -> None:
        assert isinstance(PushLink(), DirectLink)
        assert not isinstance(ListLink(), DirectLink)

    run_virtually(main)


@pytest.mark.parametrize("size", [997, 3200, 15_000])
def test_the_same_is_said_whichever_way_the_messages_come(size: int) -> None:
    items: list[bytes | Control] = [*messages(4.5, size), KeepAlive(), Finalize(), *messages(3.0, size), CloseStream()]
    every_s = size / 32_000
    by_calls = run_virtually(lambda: pushed(items, every_s))
    by_tasks = run_virtually(lambda: pulled(items, every_s))
    assert by_calls.received == by_tasks.received
    assert by_calls.closed == by_tasks.closed == (1000, "")
    assert by_calls.sent_now == len(by_calls.received) - 1  # the metadata need the digest, and go the long way
    assert len(finals(by_calls.received)) > 4


def test_what_comes_all_at_once_is_worked_on_in_order() -> None:
    items: list[bytes | Control] = [
        *messages(4.5),
        KeepAlive(),
        *messages(3.0, 15_000),
        Finalize(),
        *messages(1.0),
        CloseStream(),
    ]
    by_calls = run_virtually(lambda: pushed(items, 0))
    by_tasks = run_virtually(lambda: pulled(items, 0))
    assert finals(by_calls.received) == finals(by_tasks.received)
    assert by_calls.received[-1] == Metadata(samples(8.5), 1)


def test_a_client_that_does_not_take_results_gets_them_later_and_in_order() -> None:
    async def main() -> None:
        link = PushLink()
        pool = ScriptedPool(ScriptedEngine(say(SPEECH)))
        async with pool.admit(live=True) as session:
            running = asyncio.ensure_future(stream_of(link, pool, session).run())
            await settle()
            link.takes_now = False
            link.reading.clear()
            for item in messages(4.5):
                link.put(item)
                await asyncio.sleep(0.1)
            assert link.received == []
            link.takes_now = True  # but what came before is still on its way
            for item in messages(2.0):
                link.put(item)
                await asyncio.sleep(0.1)
            assert link.received == []
            link.reading.set()
            await settle()
            link.put(CloseStream())
            await running
        expected = await pushed([*messages(4.5), *messages(2.0), CloseStream()], 0.1)
        assert finals(link.received) == finals(expected.received)

    run_virtually(main)


def test_a_client_that_sends_too_far_ahead_is_held_back_until_its_messages_are_taken() -> None:
    async def main() -> None:
        link = PushLink()
        pool = ScriptedPool(ScriptedEngine(say(SPEECH)))
        async with pool.admit(live=True) as session:
            running = asyncio.ensure_future(stream_of(link, pool, session).run())
            await settle()
            ahead = messages(30.0)
            sent = 0
            for item in ahead:
                link.put(item)
                sent += len(item)
                if link.holds:
                    break
            assert READ_AHEAD_BYTES < sent <= READ_AHEAD_BYTES + 2 * 3200
            await asyncio.sleep(1.0)
            assert link.holds == [True, False]
            link.put(CloseStream())
            await running

    run_virtually(main)


def test_a_client_that_leaves_while_its_sound_is_rated_leaves_nothing_behind() -> None:
    async def main() -> None:
        link = PushLink()
        pool = ScriptedPool(ScriptedEngine(say(SPEECH)))
        vad = JointVad(ScriptedVad((0.0, 10.0)), gather_s=1.0)
        async with pool.admit(live=True) as session:
            stream = stream_of(link, pool, session, vad)
            running = asyncio.ensure_future(stream.run())
            await settle()
            first, second, *_ = messages(1.0)
            link.put(first)
            await settle()
            link.put(second)
            link.leave()
            await running
            heard_s = stream.counts.audio_s
            await asyncio.sleep(2.0)
            link.put(first)
            await asyncio.sleep(2.0)
            assert stream.counts.audio_s == heard_s == 0.1
            assert pool.started == pool.ended

    run_virtually(main)


def test_what_is_logged_of_a_decode_names_the_request_whoever_brought_its_sound() -> None:
    """Connections call from where they were opened, before there was a request."""

    async def main() -> None:
        link = PushLink()
        pool = ScriptedPool(ScriptedEngine(say(SPEECH), failures=[EngineFailed()] * 20))
        async with pool.admit(live=True) as session:
            with bound_contextvars(request_id="one"):
                running = asyncio.ensure_future(stream_of(link, pool, session).run())
                await settle()
            for item in (*messages(3.0), CloseStream()):
                contextvars.Context().run(link.put, item)
                await asyncio.sleep(0.1)
            await running

    with capture_logs(processors=[merge_contextvars]) as lines:
        run_virtually(main)
    failures = [line for line in lines if line["event"] == "live decode failed"]
    assert failures
    assert {line.get("request_id") for line in failures} == {"one"}


def test_a_detector_that_fails_ends_the_stream_with_1011() -> None:
    class Broken(ScriptedVad):
        def feed_all(self, pieces: object) -> list[np.ndarray]:  # type: ignore[type-arg, override]
            raise ZeroDivisionError

    async def main() -> None:
        link = PushLink()
        pool = ScriptedPool(ScriptedEngine(say(SPEECH)))
        async with pool.admit(live=True) as session:
            running = asyncio.ensure_future(stream_of(link, pool, session, JointVad(Broken())).run())
            await settle()
            link.put(messages(0.1)[0])
            with pytest.raises(ZeroDivisionError):
                await running
        assert link.closed == (1011, "internal error")

    run_virtually(main)


@pytest.mark.parametrize("ending", [CloseStream(), None])
def test_a_stream_that_has_ended_leaves_nothing_for_the_collector_of_garbage(ending: Control | None) -> None:
    async def main() -> None:
        link = PushLink()
        pool = ScriptedPool(ScriptedEngine(say(SPEECH)))
        async with pool.admit(live=True) as session:
            stream = stream_of(link, pool, session)
            running = asyncio.ensure_future(stream.run())
            await settle()
            for message in messages(1.5):  # in the middle of speech
                link.put(message)
            link.put(ending)
            await running
            gone = weakref.ref(stream)
            del stream, running
            await settle()
            assert gone() is None

    gc.collect()
    gc.disable()
    try:
        run_virtually(main)
    finally:
        gc.enable()
