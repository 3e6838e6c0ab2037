"""Sound in messages, each at its moment: pydub cuts, a clock paces."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import numpy as np

from app.domain.audio import SAMPLE_RATE, PcmBlock

MESSAGE_MS = 100
"""Milliseconds of sound in one message. Phones and browsers send 20 to 250."""

SAMPLE_BYTES = 2
"""linear16: signed 16-bit integers, little-endian."""

_MESSAGE_FRAMES = MESSAGE_MS * SAMPLE_RATE // 1000


class Cutter:
    """16 kHz blocks of any length -> pydub segments of ``MESSAGE_MS``, the last one shorter; not a sample is lost or added.

    Channels stay apart, interleaved.
    """

    def __init__(self, channels: int) -> None:
        self._segment = _audio_segment_class()
        self._channels = channels
        self._rest = self._made(b"")

    def cut(self, block: PcmBlock) -> Iterator[Any]:
        """The segments that ``block`` completes. ``block``: shape ``(channels, n)``."""
        scaled = np.clip(np.rint(block * 32_768), -32_768, 32_767)
        self._rest += self._made(np.ascontiguousarray(scaled.T).astype("<i2").tobytes())
        whole = int(self._rest.frame_count()) // _MESSAGE_FRAMES
        # pydub pads a slice that is a fraction of a millisecond short, so only whole messages are cut by time
        for start_ms in range(0, whole * MESSAGE_MS, MESSAGE_MS):
            yield self._rest[start_ms : start_ms + MESSAGE_MS]
        self._rest = self._rest.get_sample_slice(whole * _MESSAGE_FRAMES)

    def rest(self) -> Iterator[Any]:
        """What is left at the end."""
        if self._rest.frame_count():
            yield self._rest

    def _made(self, data: bytes) -> Any:
        return self._segment(data, sample_width=SAMPLE_BYTES, frame_rate=SAMPLE_RATE, channels=self._channels)


def _audio_segment_class() -> Any:
    # Importing pydub warns of the ffmpeg that is missing, which decodes nothing here, and of its own old code.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pydub import AudioSegment
    return AudioSegment


class Pacer:
    """Holds sound back until it would have been spoken. ``speed`` 1 is the speed of speech, 0 holds nothing back."""

    def __init__(
        self,
        speed: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._started: float | None = None

    async def wait(self, end_s: float) -> None:
        """Return at the moment when sound up to ``end_s`` (seconds from its beginning) has been spoken.

        The first call returns at once: its sound counts as just spoken. Late calls do not move the later ones.
        """
        offset_s = end_s / self._speed if self._speed > 0 else 0.0
        now = self._clock()
        if self._started is None:
            self._started = now - offset_s
        await self._sleep(max(0.0, self._started + offset_s - now) if self._speed > 0 else 0.0)


async def paced(blocks: AsyncIterator[PcmBlock], channels: int, pacer: Pacer) -> AsyncIterator[bytes]:
    """``blocks`` as linear16 messages, each at the moment that ``pacer`` gives it."""
    cutter = Cutter(channels)
    sent_frames = 0

    async def timed(segment: Any) -> bytes:
        nonlocal sent_frames
        sent_frames += int(segment.frame_count())
        await pacer.wait(sent_frames / SAMPLE_RATE)
        return bytes(segment.raw_data)

    async for block in blocks:
        for segment in cutter.cut(block):
            yield await timed(segment)
    for segment in cutter.rest():
        yield await timed(segment)
