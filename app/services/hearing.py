"""One client's bytes -> audio for its stream machine: decoded, mixed, with a speech probability for each window."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from app.domain.audio import SAMPLE_RATE, PcmBlock
from app.domain.chunking import mix_to_mono
from app.domain.ports import StreamDecoder, VadStream
from app.domain.stream.events import Audio
from app.services.joint_vad import JointVad

SLICE_BYTES = 65_536
"""Most bytes heard in one step, so that a message of megabytes does not keep control messages and timers waiting."""

PIECE_SAMPLES = 4 * SAMPLE_RATE
"""Most samples given to the machine at once; a little compressed data may unpack to a lot."""


class Hearing:
    """Owns the connection's decoder and the state of its speech detectors.

    Messages of up to ``inline_bytes`` are heard in the event loop, where they cost less than the way to a thread and back,
    and rated together with those of other streams; larger ones in a thread. ``multichannel`` keeps the channels apart, else
    they are mixed to one.
    """

    def __init__(self, decoder: StreamDecoder, vad: JointVad, *, multichannel: bool, inline_bytes: int) -> None:
        self._decoder = decoder
        self._vad = vad
        self._multichannel = multichannel
        self._inline_bytes = inline_bytes
        self._vad_streams: list[VadStream] = []
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hex, of all bytes heard so far."""
        return self._digest.hexdigest()

    async def hear(self, data: bytes, *, at_once: bool = False) -> list[Audio]:
        """What became audible, in pieces; ``data`` has at most ``SLICE_BYTES``. Raises what the decoder raises.

        ``at_once``: the client has sent more already, so there is no waiting for the audio of others.
        """
        if len(data) > self._inline_bytes:
            return await anyio.to_thread.run_sync(self._hear, data)
        self._digest.update(data)
        return await self._rated_jointly(self._decoder.feed(data), at_once=at_once)

    def is_brief(self, data: bytes) -> bool:
        """Whether ``hear_soon`` may have it."""
        return len(data) <= min(self._inline_bytes, SLICE_BYTES)

    def hear_soon(self, data: bytes, tell: Callable[[list[Audio] | Exception], None]) -> None:
        """``hear`` without a task: ``tell``, which must not raise, is called once. Raises what the decoder raises."""
        self._digest.update(data)
        self._rate_soon(list(self._pieces(self._decoder.feed(data))), [], tell)

    def _rate_soon(
        self, pieces: list[PcmBlock], heard: list[Audio], tell: Callable[[list[Audio] | Exception], None]
    ) -> None:
        if len(heard) == len(pieces):
            tell(heard)
            return
        tracks = pieces[len(heard)]

        def go_on(rated: list[NDArray[np.float32]] | Exception) -> None:
            if isinstance(rated, Exception):
                tell(rated)
            else:
                heard.append(Audio(tracks, tuple(rated)))
                self._rate_soon(pieces, heard, tell)

        self._vad.feed_soon(list(zip(self._vad_streams, tracks, strict=True)), go_on)

    async def rest(self) -> list[Audio]:
        """What the decoder still holds, once no more bytes come. Raises what the decoder raises."""
        if self._inline_bytes:
            return await self._rated_jointly(self._decoder.flush(), at_once=True)
        return await anyio.to_thread.run_sync(lambda: self._rated(self._decoder.flush()))

    async def close(self) -> None:
        """Give the decoder back. May come beside ``hear``, which then ends early."""
        if self._inline_bytes:
            self._decoder.close()
        else:
            await anyio.to_thread.run_sync(self._decoder.close)

    def _hear(self, data: bytes) -> list[Audio]:
        self._digest.update(data)
        return self._rated(self._decoder.feed(data))

    def _rated(self, block: PcmBlock) -> list[Audio]:
        return [
            Audio(tracks, tuple(stream.feed(track) for stream, track in zip(self._vad_streams, tracks, strict=True)))
            for tracks in self._pieces(block)
        ]

    async def _rated_jointly(self, block: PcmBlock, *, at_once: bool) -> list[Audio]:
        heard = []
        for tracks in self._pieces(block):
            fed = list(zip(self._vad_streams, tracks, strict=True))
            heard.append(Audio(tracks, tuple(await self._vad.feed(fed, at_once=at_once))))
        return heard

    def _pieces(self, block: PcmBlock) -> Iterator[PcmBlock]:
        """``block`` as the machine takes it: in pieces of bounded length, a row for each channel that is told apart."""
        if block.shape[1] and not self._vad_streams:
            self._vad_streams = [self._vad.stream() for _ in range(block.shape[0] if self._multichannel else 1)]
        for start in range(0, block.shape[1], PIECE_SAMPLES):
            piece = block[:, start : start + PIECE_SAMPLES]
            tracks = piece if self._multichannel else mix_to_mono(piece)[np.newaxis]
            yield np.ascontiguousarray(tracks, np.float32)
