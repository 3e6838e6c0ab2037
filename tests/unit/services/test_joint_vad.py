"""Streams whose audio comes at the same time are rated together, and nobody waits long for that. Time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain.audio import Pcm16k
from app.domain.ports import VadStream
from app.engines.scripted import ScriptedVad
from app.services.joint_vad import GATHER_S, ROUND_SAMPLES, JointVad, Tell
from tests.support.live_shell import run_virtually, settle


class Rounds(ScriptedVad):
    """Notes how many streams each round had, and when it was."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__((0.0, 10.0))
        self.rounds: list[tuple[float, int]] = []
        self.failure = failure

    def feed_all(self, pieces: Sequence[tuple[VadStream, Pcm16k]]) -> list[NDArray[np.float32]]:
        self.rounds.append((asyncio.get_running_loop().time(), len(pieces)))
        if self.failure is not None:
            raise self.failure
        return super().feed_all(pieces)


def windows(count: int) -> Pcm16k:
    return np.zeros(512 * count, np.float32)


def test_what_comes_in_one_turn_goes_together_and_everyone_gets_their_own() -> None:
    async def main() -> None:
        vad = Rounds()
        joint = JointVad(vad)
        answers = await asyncio.gather(*(joint.feed([(joint.stream(), windows(count))]) for count in (1, 3, 0, 2)))
        assert [len(answer) for (answer,) in answers] == [1, 3, 0, 2]
        assert [streams for _, streams in vad.rounds] == [4]

    run_virtually(main)


def test_the_channels_of_one_client_stay_in_order() -> None:
    async def main() -> None:
        joint = JointVad(Rounds())
        other = asyncio.ensure_future(joint.feed([(joint.stream(), windows(7))]))
        answer = await joint.feed([(joint.stream(), windows(count)) for count in (2, 5)])
        assert [len(track) for track in answer] == [2, 5]
        assert [len(track) for track in await other] == [7]

    run_virtually(main)


def test_the_first_after_a_pause_does_not_wait_and_the_next_ones_wait_for_company() -> None:
    async def main() -> None:
        vad = Rounds()
        joint = JointVad(vad)
        loop = asyncio.get_running_loop()

        async def client(delay_s: float) -> float:
            await asyncio.sleep(delay_s)
            asked = loop.time()
            await joint.feed([(joint.stream(), windows(1))])
            return loop.time() - asked

        waits = await asyncio.gather(*(client(delay_s) for delay_s in (0.0, 0.002, 0.004, 0.006, 0.1)))
        assert waits == pytest.approx([0, GATHER_S - 0.002, GATHER_S - 0.004, GATHER_S - 0.006, 0])
        assert [streams for _, streams in vad.rounds] == [1, 3, 1]

    run_virtually(main)


def test_a_client_that_has_sent_more_already_is_not_held_back_by_the_clock() -> None:
    async def main() -> None:
        vad = Rounds()
        joint = JointVad(vad)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await joint.feed([(joint.stream(), windows(1))])
        paced = asyncio.ensure_future(joint.feed([(joint.stream(), windows(1))]))
        await settle()
        assert not paced.done()
        hasty = joint.stream()
        for _ in range(100):
            await joint.feed([(hasty, windows(1))], at_once=True)
        assert loop.time() == began
        assert paced.done()
        assert len(vad.rounds) == 101
        await asyncio.sleep(1.0)
        assert len(vad.rounds) == 101  # the timer that the paced one had set found nothing to do

    run_virtually(main)


def test_a_round_is_bounded_and_the_rest_follows_after_a_turn() -> None:
    async def main() -> None:
        vad = Rounds()
        joint = JointVad(vad)
        half = ROUND_SAMPLES // 512 // 2
        answers = await asyncio.gather(*(joint.feed([(joint.stream(), windows(half))]) for _ in range(5)))
        assert [len(answer) for (answer,) in answers] == [half] * 5
        assert [streams for _, streams in vad.rounds] == [2, 2, 1]

    run_virtually(main)


def test_a_stream_that_ends_while_it_waits_does_not_disturb_the_others() -> None:
    async def main() -> None:
        joint = JointVad(Rounds())
        waiting = [asyncio.ensure_future(joint.feed([(joint.stream(), windows(1))])) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(answer) for answer in answers] == [list, asyncio.CancelledError, list]

    run_virtually(main)


def test_a_failure_reaches_all_who_wait_and_ends_with_them() -> None:
    async def main() -> None:
        vad = Rounds(failure=RuntimeError("broken"))
        joint = JointVad(vad)
        answers = await asyncio.gather(
            *(joint.feed([(joint.stream(), windows(1))]) for _ in range(2)), return_exceptions=True
        )
        assert [str(answer) for answer in answers] == ["broken", "broken"]
        vad.failure = None
        assert len((await joint.feed([(joint.stream(), windows(2))]))[0]) == 2

    run_virtually(main)


class Elsewhere(Rounds):
    """Fulfils ``DistantVad``: rounds of two pieces or more are kept until ``answer``."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[Sequence[tuple[VadStream, Pcm16k]], Tell]] = []

    def feed_elsewhere(self, pieces: Sequence[tuple[VadStream, Pcm16k]], tell: Tell) -> bool:
        if len(pieces) > 1:
            self.kept.append((pieces, tell))
        return len(pieces) > 1

    def answer(self) -> None:
        pieces, tell = self.kept.pop(0)
        try:
            tell(self.feed_all(pieces))
        except RuntimeError as error:
            tell(error)


def test_while_a_round_is_elsewhere_what_comes_waits_and_goes_together() -> None:
    async def main() -> None:
        vad = Elsewhere()
        joint = JointVad(vad)
        feed = [asyncio.ensure_future(joint.feed([(joint.stream(), windows(count))])) for count in (1, 2)]
        await settle()
        assert len(vad.kept) == 1
        feed += [asyncio.ensure_future(joint.feed([(joint.stream(), windows(count))])) for count in (3, 4)]
        feed.append(asyncio.ensure_future(joint.feed([(joint.stream(), windows(5))], at_once=True)))
        await asyncio.sleep(1.0)
        assert [task.done() for task in feed] == [False] * 5
        vad.answer()
        await settle()
        assert [task.done() for task in feed] == [True, True, False, False, False]
        vad.answer()
        assert [len((await task)[0]) for task in feed] == [1, 2, 3, 4, 5]
        assert [streams for _, streams in vad.rounds] == [2, 3]
        assert [len(answer) for answer in await joint.feed([(joint.stream(), windows(6))])] == [6]

    run_virtually(main)


def test_a_failure_elsewhere_reaches_all_who_wait_and_ends_with_them() -> None:
    async def main() -> None:
        vad = Elsewhere()
        vad.failure = RuntimeError("broken")
        joint = JointVad(vad)
        feed = [asyncio.ensure_future(joint.feed([(joint.stream(), windows(1))])) for _ in range(2)]
        await settle()
        vad.answer()
        assert [str(answer) for answer in await asyncio.gather(*feed, return_exceptions=True)] == ["broken", "broken"]
        vad.failure = None
        assert len((await joint.feed([(joint.stream(), windows(2))]))[0]) == 2

    run_virtually(main)
