"""Tracks read by the FFmpeg libraries that the PyAV wheel carries: MP3, and every container libsndfile does not know.

The container is always named, never guessed by FFmpeg: among its demuxers are playlists, scripts and network protocols, and
an upload that looks like one must not make the server open files or addresses. ``av`` is imported on first use: 19 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.audio.convert import Resampler, Samples
from app.audio.source import ByteView
from app.domain.errors import BadAudio

if TYPE_CHECKING:
    import av
    import av.container

_MAX_FRUITLESS_PACKETS = 20_000
"""Packets in a row that give no sound before a track counts as over. A minute of silence in a film is about 3000."""


class LibavTrack:
    """The best audio stream of a file. Raises ``BadAudio`` when there is none, or none that can be decoded.

    ``container`` is FFmpeg's demuxer name. The first frame decides ``channels`` and ``sample_rate``; later frames that
    differ (joined files, some AAC) are fitted to it.
    """

    def __init__(self, view: ByteView, container: str, options: dict[str, str] | None = None) -> None:
        import av

        self._container: av.container.InputContainer | None = None
        try:
            self._container = container_file = av.open(
                view,
                mode="r",
                format=container,
                options={"protocol_whitelist": "none", **(options or {})},
                metadata_errors="replace",
            )
            self._frames = self._decoded(container_file)
            first = next(self._frames, None)
        except BadAudio:
            self.close()
            raise
        except refusals() as refusal:
            self.close()
            raise BadAudio from refusal
        if first is None:
            self.close()
            raise BadAudio
        self._first = first
        self.sample_rate: int = first.sample_rate
        self.channels = len(planes(first))

    def pieces(self) -> Iterator[Samples]:
        """See ``Track``."""
        rate, resampler = self.sample_rate, None
        for frame in self._with_first():
            samples = fitted(planes(frame), self.channels)
            if frame.sample_rate != rate:
                if resampler is not None:
                    yield resampler.flush()
                rate = frame.sample_rate
                resampler = None if rate == self.sample_rate else Resampler(rate, self.channels, self.sample_rate)
            yield samples if resampler is None else resampler.feed(samples)
        if resampler is not None:
            yield resampler.flush()

    def close(self) -> None:
        """Give the demuxer's and decoder's memory back."""
        if self._container is not None:
            with suppress(*refusals()):
                self._container.close()
            self._container = None

    def _with_first(self) -> Iterator[av.AudioFrame]:
        yield self._first
        with suppress(*refusals()):  # a file that breaks off has been read to where it does
            yield from self._frames

    def _decoded(self, container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
        """Frames with samples in them. Damaged packets are passed over, as players do."""
        import av

        stream = container.streams.best("audio")
        if stream is None:
            raise BadAudio("The file holds no sound.")
        stream.codec_context.thread_count = 1
        fruitless = 0
        for packet in container.demux(stream):
            fruitless += 1
            with suppress(*refusals()):
                for frame in packet.decode():
                    if isinstance(frame, av.AudioFrame) and frame.samples > 0 and frame.sample_rate > 0:
                        fruitless = 0
                        yield frame
            if fruitless > _MAX_FRUITLESS_PACKETS:
                return


def refusals() -> tuple[type[Exception], ...]:
    """What PyAV raises for damaged files. Some of its own errors derive from nothing more special than ``Exception``."""
    import av

    return (av.FFmpegError, ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, ValueError)


def planes(frame: av.AudioFrame) -> Samples:
    """A frame's samples as float32, shape ``(channels, n)``."""
    raw: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    if raw.dtype.kind == "f":
        return np.ascontiguousarray(raw, np.float32)
    middle, full_scale = (128, 128) if raw.dtype == np.uint8 else (0, 1 << 8 * raw.dtype.itemsize - 1)
    samples: Samples = (raw.astype(np.float32) - np.float32(middle)) / np.float32(full_scale)
    return samples


def fitted(samples: Samples, channels: int) -> Samples:
    """The samples in the track's number of channels: one is spread over all, all are mixed into one, else the first ones."""
    if len(samples) == channels:
        return samples
    if len(samples) == 1:
        return np.repeat(samples, channels, axis=0)
    if channels == 1:
        return np.asarray(samples.mean(axis=0, keepdims=True), np.float32)
    taken = np.zeros((channels, samples.shape[1]), np.float32)
    kept = min(channels, len(samples))
    taken[:kept] = samples[:kept]
    return taken
