"""What a live stream is made of: parts, each from one header to the next, that turn bytes into sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from app.audio.convert import Samples
from app.audio.libav import planes
from app.audio.libav import refusals as native_errors

HEADER_PATIENCE_BYTES: Final = 4 << 20
"""Bytes a container may hold before its first sound: an index or a cover picture can be megabytes."""

PATIENCE_BYTES: Final = 128 << 10
"""Bytes without sound after which a stream of sound alone has turned to garbage. The largest Ogg page is half of it."""

__all__ = ["HEADER_PATIENCE_BYTES", "PATIENCE_BYTES", "LivePart", "Sound", "native_errors", "sounds"]


class Sound(NamedTuple):
    """Decoded samples, float32 of shape ``(channels, n)``, and their rate in hertz. Both may differ from one to the next."""

    samples: Samples
    sample_rate: int


class LivePart(Protocol):
    """One run of one coding. ``feed`` and ``flush`` must be read to their end; both may raise ``BadAudio``.

    ``patience_bytes``: how many bytes may follow one another without any sound before they are garbage.
    """

    @property
    def patience_bytes(self) -> int: ...

    def feed(self, data: bytes) -> Iterator[Sound]: ...

    def flush(self) -> Iterator[Sound]: ...

    def close(self) -> None: ...


def sounds(frames: Iterable[object]) -> Iterator[Sound]:
    """The frames of a decoder that hold samples."""
    import av

    for frame in frames:
        if isinstance(frame, av.AudioFrame) and frame.samples > 0 and frame.sample_rate > 0:
            yield Sound(planes(frame), frame.sample_rate)
