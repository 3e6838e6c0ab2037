"""Speech rated in a process of its own: the same answers, and none is lost when that process is."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from app.audio import silero_process
from app.audio.silero_process import MOST_STREAMS, MOST_WINDOWS, SileroProcess
from app.audio.vad import SileroVad, silero_network
from app.domain.ports import VadStream
from app.services.joint_vad import DistantVad, JointVad

Answers = list[NDArray[np.float32]]
STREAMS = 12


@pytest.fixture
def vad() -> Iterator[SileroVad]:
    made = SileroVad(silero_network())
    yield made
    made.close()


def noise(samples: int, seed: int) -> NDArray[np.float32]:
    return (0.2 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def pieces(streams: list[VadStream], turn: int) -> list[tuple[VadStream, NDArray[np.float32]]]:
    """Of different lengths, some without a whole window."""
    return [(stream, noise((700 * index * (turn + 1)) % 3000, 100 * turn + index)) for index, stream in enumerate(streams)]


async def ready(vad: SileroVad) -> None:
    for _ in range(2000):
        if vad.feed_elsewhere([(vad.stream(), noise(512, 0)) for _ in range(STREAMS)], lambda _: None):
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError("the process does not become ready")
    await elsewhere(vad, [(vad.stream(), noise(512, 0)) for _ in range(STREAMS)])


async def elsewhere(vad: SileroVad, given: list[tuple[VadStream, NDArray[np.float32]]]) -> Answers:
    answer: asyncio.Future[Answers | Exception] = asyncio.get_running_loop().create_future()
    while not vad.feed_elsewhere(given, answer.set_result):
        await asyncio.sleep(0)
    found = await answer
    assert isinstance(found, list)
    return found


def run(vad: SileroVad, main: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await main()
        finally:
            vad.close()

    asyncio.run(whole())


def assert_same(found: list[Answers], expected: list[Answers]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert [len(answer) for answer in ours] == [len(answer) for answer in theirs]
        np.testing.assert_allclose(np.concatenate(ours), np.concatenate(theirs), atol=1e-5)


def test_the_shell_knows_that_it_can_rate_elsewhere(vad: SileroVad) -> None:
    assert isinstance(vad, DistantVad)


def test_rounds_here_and_there_go_on_from_one_another(vad: SileroVad) -> None:
    async def main() -> None:
        await ready(vad)
        streams, alone = [vad.stream() for _ in range(STREAMS)], [vad.stream() for _ in range(STREAMS)]
        found, expected = [], []
        for turn in range(9):
            given = pieces(streams, turn)
            found.append(await elsewhere(vad, given) if turn % 3 else vad.feed_all(given))
            expected.append([stream.feed(pcm) for stream, (_, pcm) in zip(alone, given, strict=True)])
        assert_same(found, expected)

    run(vad, main)


def test_few_pieces_stay_here_and_start_nothing(vad: SileroVad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a process was started"))
    assert not vad.feed_elsewhere([(vad.stream(), noise(512, 0)) for _ in range(3)], lambda _: None)


def test_a_round_that_is_too_large_stays_here(vad: SileroVad) -> None:
    async def main() -> None:
        await ready(vad)
        long = [(vad.stream(), np.zeros(512 * MOST_WINDOWS // 8, np.float32)) for _ in range(9)]
        many = [(vad.stream(), np.zeros(1, np.float32)) for _ in range(MOST_STREAMS + 1)]
        for given in (long, many):
            assert not vad.feed_elsewhere(given, lambda _: None)
        assert [len(answer) for answer in await elsewhere(vad, many[:9])] == [0] * 9

    run(vad, main)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_a_round_whose_process_does_not_answer_is_rated_here_and_the_next_ones_too(
    vad: SileroVad, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    monkeypatch.setattr(silero_process, "ANSWER_S", 0.2)

    async def main() -> None:
        await ready(vad)
        streams, alone = [vad.stream() for _ in range(STREAMS)], [vad.stream() for _ in range(STREAMS)]
        assert vad.process_id is not None
        os.kill(vad.process_id, sent)
        given = pieces(streams, 1)
        answer: asyncio.Future[Answers | Exception] = asyncio.get_running_loop().create_future()
        if vad.feed_elsewhere(given, answer.set_result):
            heard = await answer
            assert isinstance(heard, list)
            found = heard
        else:  # its end has been seen already
            found = vad.feed_all(given)
        assert_same([found], [[stream.feed(pcm) for stream, (_, pcm) in zip(alone, given, strict=True)]])
        assert not vad.feed_elsewhere(pieces(streams, 2), lambda _: None)
        assert vad.process_id is None

    run(vad, main)


def test_a_process_that_cannot_be_started_is_done_without(vad: SileroVad, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr("subprocess.Popen", refuse)

    async def main() -> None:
        given = [(vad.stream(), noise(512, index)) for index in range(STREAMS)]
        assert not vad.feed_elsewhere(given, lambda _: None)
        assert not vad.feed_elsewhere(given, lambda _: None)
        assert SileroProcess().has_failed is False

    run(vad, main)


def test_many_streams_hear_the_same_through_the_shell_as_alone(vad: SileroVad) -> None:
    async def main() -> None:
        await ready(vad)
        joint = JointVad(vad)
        sounds = [noise(20_000, index) for index in range(40)]

        async def client(sound: NDArray[np.float32]) -> NDArray[np.float32]:
            stream = joint.stream()
            parts = [(await joint.feed([(stream, sound[at : at + 1600])]))[0] for at in range(0, len(sound), 1600)]
            return np.concatenate(parts)

        found = await asyncio.gather(*map(client, sounds))
        assert_same([list(found)], [[vad.stream().feed(sound) for sound in sounds]])

    run(vad, main)
