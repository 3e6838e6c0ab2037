from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable

import numpy as np
import pytest

from app.domain.audio import PcmBlock
from cli.pacing import Cutter, Pacer, paced


class FakeTime:
    """A clock that only sleeping moves, and a record of when each thing happened."""

    def __init__(self) -> None:
        self.now = 100.0

    def read(self) -> float:
        return self.now

    async def sleep(self, delay_s: float) -> None:
        assert delay_s >= 0
        self.now += delay_s


async def each(blocks: Iterable[PcmBlock]) -> AsyncIterator[PcmBlock]:
    for block in blocks:
        yield block


def noise(channels: int, frames: int) -> PcmBlock:
    values = np.random.default_rng(7).integers(-32_768, 32_768, (channels, frames))
    return (values / 32_768).astype(np.float32)


def as_linear16(block: PcmBlock) -> bytes:
    return (block.T * 32_768).astype("<i2").tobytes()


def messages(block: PcmBlock, cuts: list[int]) -> list[bytes]:
    async def collect() -> list[bytes]:
        blocks = np.split(block, cuts, axis=1)
        return [piece async for piece in paced(each(blocks), block.shape[0], Pacer(0))]

    return asyncio.run(collect())


@pytest.mark.parametrize("cuts", [[], [1], [777, 778, 9_999], [1_600, 3_200, 16_007]])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_messages_hold_every_sample_whatever_blocks_came(channels: int, cuts: list[int]) -> None:
    block = noise(channels, 16_013)  # a second and a fraction of a millisecond
    sent = messages(block, cuts)
    assert [len(message) // 2 // channels for message in sent] == [1_600] * 10 + [13]
    assert b"".join(sent) == as_linear16(block)


def test_nothing_becomes_no_message() -> None:
    assert messages(np.zeros((1, 0), np.float32), []) == []


def test_what_is_too_loud_is_clipped_and_never_wraps_around() -> None:
    [message] = messages(np.array([[1.0, 1.7, -1.0, -3.0]], np.float32), [])
    assert np.frombuffer(message, "<i2").tolist() == [32_767, 32_767, -32_768, -32_768]


def test_cutting_by_time_is_the_work_of_pydub() -> None:
    from pydub import AudioSegment

    [segment] = Cutter(1).cut(noise(1, 1_600))
    assert isinstance(segment, AudioSegment)
    assert len(segment) == 100


@pytest.mark.parametrize(("speed", "between_s"), [(1.0, 0.1), (4.0, 0.025), (0.5, 0.2)])
def test_messages_leave_at_the_speed_of_speech_or_a_multiple(speed: float, between_s: float) -> None:
    time = FakeTime()

    async def moments() -> list[float]:
        pacer = Pacer(speed, time.read, time.sleep)
        return [time.now async for _ in paced(each([noise(1, 8_000)]), 1, pacer)]

    assert asyncio.run(moments()) == pytest.approx([100.0 + between_s * index for index in range(5)])


def test_speed_zero_waits_for_nothing() -> None:
    time = FakeTime()

    async def run() -> None:
        pacer = Pacer(0, time.read, time.sleep)
        for index in range(1_000):
            await pacer.wait(index * 0.1)

    asyncio.run(run())
    assert time.now == 100.0


def test_a_delay_on_the_way_is_made_good_and_delays_nothing_else() -> None:
    time = FakeTime()
    left = []

    async def run() -> None:
        pacer = Pacer(1.0, time.read, time.sleep)
        for index in range(1, 6):
            await pacer.wait(index * 0.1)
            left.append(time.now)
            if index == 2:
                time.now += 0.25  # the connection stood still

    asyncio.run(run())
    assert left == pytest.approx([100.0, 100.1, 100.35, 100.35, 100.4])


def test_a_source_that_speaks_in_real_time_is_not_held_back() -> None:
    time = FakeTime()

    async def run() -> None:
        pacer = Pacer(1.0, time.read, time.sleep)
        for index in range(1, 20):
            time.now = 200.0 + index * 0.1
            await pacer.wait(index * 0.1)
            assert time.now == pytest.approx(200.0 + index * 0.1)

    asyncio.run(run())


def test_pydub_does_not_complain_about_ffmpeg_which_nothing_needs() -> None:
    program = "from cli.pacing import Cutter; Cutter(1)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
