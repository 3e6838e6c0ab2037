"""Containers as they are written into a connection: by a muxer that cannot go back, in the pieces a recorder sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import av
import numpy as np
from numpy.typing import NDArray

from app.audio.live import LiveDecoder, LiveDecoders
from app.domain.audio import AudioFormat, AudioLimits

Samples = NDArray[np.float32]

LIMITS = AudioLimits(max_seconds=60, max_channels=8)
_LAYOUTS = {1: "mono", 2: "stereo"}

RECORDER = {"live": "1", "cluster_time_limit": "250"}
"""WebM as MediaRecorder writes it: segment and clusters of unknown size, no index."""

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "250000", "strict": "-2"}
"""MP4 as Safari writes it: a quarter of a second to a fragment."""

SHORT_PAGES = {"page_duration": "20000"}
"""Ogg with a page for each packet; the muxer would gather a second."""


class _Socket:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.sent.append(bytes(data))
        return len(data)


def muxed(
    samples: Samples, rate: int, container: str, codec: str, options: dict[str, str] | None = None, *, video: bool = False
) -> bytes:
    """``samples``, shape ``(channels, n)``, as one stream. ``video`` adds a picture of noise to every tenth of a second."""
    target = _Socket()
    layout = _LAYOUTS[len(samples)]
    with av.open(target, "w", format=container, options=options or {}) as output:
        picture = output.add_stream("libvpx", rate=10) if video else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt, picture.bit_rate = 64, 64, "yuv420p", 2_000_000
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.format = av.codec.Codec(codec, "w").audio_formats[0]
        stream.open()
        frame_size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(stream.format, layout, rate, frame_size=frame_size)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate = rate
        noise = np.random.default_rng(5)
        pictures = 0
        for done, ready in enumerate([*resampler.resample(frame), *resampler.resample(None)]):
            while picture is not None and pictures / 10 <= done * frame_size / rate:
                image = noise.integers(0, 256, (64, 64, 3), np.uint8)
                output.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                pictures += 1
            output.mux(stream.encode(ready))
        output.mux([packet for packet in stream.encode(None) if packet.size])  # the FLAC encoder ends with an empty one
        if picture is not None:
            output.mux(picture.encode(None))
    return b"".join(target.sent)


def packets(samples: Samples, rate: int, codec: str) -> list[bytes]:
    """The bare packets of an encoder, without any container."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout = rate, _LAYOUTS[len(samples)]
    encoder.format = av.codec.Codec(codec, "w").audio_formats[0]
    if codec == "libopencore_amrnb":
        encoder.bit_rate = 12_200
    encoder.open()
    resampler = av.AudioResampler(encoder.format, encoder.layout, rate, frame_size=encoder.frame_size)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=encoder.layout)
    frame.sample_rate = rate
    whole = [
        ready for ready in [*resampler.resample(frame), *resampler.resample(None)] if ready.samples == encoder.frame_size
    ]
    return [bytes(packet) for ready in [*whole, None] for packet in encoder.encode(ready)]


def cut(data: bytes, size: int) -> list[bytes]:
    """``data`` in messages of ``size`` bytes; the last may be shorter."""
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


@contextmanager
def opened(declared: AudioFormat | None = None, limits: AudioLimits = LIMITS) -> Iterator[LiveDecoder]:
    """A decoder that is closed at the end, whatever happens."""
    decoder = LiveDecoders().open(declared, limits)
    try:
        yield decoder
    finally:
        decoder.close()


def decoded(messages: list[bytes], declared: AudioFormat | None = None, limits: AudioLimits = LIMITS) -> Samples:
    """All sound of a connection, shape ``(channels, n)``. Raises what the decoder raises."""
    with opened(declared, limits) as decoder:
        blocks = [*map(decoder.feed, messages), decoder.flush()]
    heard = [block for block in blocks if block.shape[1]]
    return np.concatenate(heard, axis=1) if heard else np.zeros((1, 0), np.float32)
