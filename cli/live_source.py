"""Where the sound of ``whisperapi stream`` comes from: a file, or whatever another program writes into the pipe."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Protocol

from app.audio.decode import Decoder
from app.audio.live import LiveDecoders
from app.domain.audio import SAMPLE_RATE, AudioFormat, AudioLimits, PcmBlock
from app.domain.errors import BadAudio
from app.domain.ports import StreamDecoder
from cli.pacing import Pacer, paced

LIMITS = AudioLimits(max_seconds=30 * 86_400.0)
"""A person's own file may be as long as it likes; what it unpacks to is never held whole."""

_PIPE_BYTES = 64 << 10
_PIPE_AHEAD = 16
"""Reads from the pipe that may wait: 1 MiB. Beyond that the writing program is held back."""


class LiveSource(Protocol):
    """Sound that is sent while it comes. ``pieces``: linear16, interleaved, iterated once; closing the iterator ends it."""

    sample_rate: int
    channels: int

    def pieces(self) -> AsyncIterator[bytes]: ...


class PacedSource:
    """Fulfils ``LiveSource``: 16 kHz blocks from anywhere, sent no faster than ``pacer`` allows."""

    sample_rate = SAMPLE_RATE

    def __init__(self, blocks: AsyncIterator[PcmBlock], channels: int, pacer: Pacer) -> None:
        self.channels = channels
        self._blocks = blocks
        self._pacer = pacer

    def pieces(self) -> AsyncIterator[bytes]:
        """See ``LiveSource``."""
        return paced(self._blocks, self.channels, self._pacer)


@asynccontextmanager
async def open_file(file: Path, declared: AudioFormat | None, pacer: Pacer) -> AsyncIterator[PacedSource]:
    """A recording in any format. ``declared`` counts for headerless ones. Raises ``BadAudio``."""
    with file.open("rb") as source, Decoder().open(source, declared, LIMITS) as recording:

        async def blocks() -> AsyncIterator[PcmBlock]:
            for block in recording.blocks():
                yield block

        yield PacedSource(blocks(), recording.channels, pacer)


@asynccontextmanager
async def open_pipe(
    declared: AudioFormat | None, pacer: Pacer, read: Callable[[int], bytes] | None = None
) -> AsyncIterator[PacedSource]:
    """Standard input, decoded as it comes. Waits until it is clear what it is. Raises ``BadAudio``.

    ``read(n)`` blocks until there are bytes, returns at most ``n``, and nothing at the end.
    """
    arriving = _arriving(read or _read_standard_input)
    async with aclosing(arriving):
        with closing(LiveDecoders().open(declared, LIMITS)) as decoder:
            decoded = _decoded(decoder, arriving)
            first = await _first_sound(decoded)

            async def blocks() -> AsyncIterator[PcmBlock]:
                yield first
                async for block in decoded:
                    yield block

            yield PacedSource(blocks(), first.shape[0], pacer)


async def _first_sound(blocks: AsyncIterator[PcmBlock]) -> PcmBlock:
    async for block in blocks:
        if block.shape[1]:
            return block
    raise BadAudio("There is no sound in the input.")


async def _decoded(decoder: StreamDecoder, arriving: AsyncIterator[bytes]) -> AsyncIterator[PcmBlock]:
    async for data in arriving:
        yield decoder.feed(data)
    yield decoder.flush()


async def _arriving(read: Callable[[int], bytes]) -> AsyncGenerator[bytes, None]:
    """What ``read`` returns, read by a thread of its own: nothing can interrupt a read of a pipe that stays silent."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    room = threading.Semaphore(_PIPE_AHEAD)
    unwanted = threading.Event()

    def keep_reading() -> None:
        data = b"?"
        with suppress(RuntimeError):  # the loop is closed: nobody wants the rest
            while data:
                room.acquire()
                if unwanted.is_set():
                    return
                try:
                    data = read(_PIPE_BYTES)
                except OSError:  # a closed descriptor, a folder: nothing more comes
                    data = b""
                loop.call_soon_threadsafe(arrived.put_nowait, data)

    # daemon: it must not keep the program from ending while it waits for a byte
    threading.Thread(target=keep_reading, name="standard-input", daemon=True).start()
    try:
        while data := await arrived.get():
            room.release()
            yield data
    finally:
        unwanted.set()
        room.release()


def _read_standard_input(count: int) -> bytes:
    # not sys.stdin: a thread that waits inside a buffered reader makes the interpreter abort when it ends
    return os.read(0, count)
