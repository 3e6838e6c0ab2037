"""Containers as they are written into a connection: by a muxer that cannot go back, in the pieces a recorder sends."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import av
import numpy as np
from numpy.typing import NDArray

from app.audio.live import LiveDecoder, LiveDecoders
from app.domain.audio import AudioFormat, AudioLimits

Samples = NDArray[np.float32]

LIMITS = AudioLimits(max_seconds=60, max_channels=8)
CLUSTER = bytes.fromhex("1f43b675")
_LAYOUTS = {1: "mono", 2: "stereo"}

CLUSTERS = {"live": "1", "cluster_time_limit": "250"}
"""WebM as FFmpeg streams it: a segment of unknown size in clusters of a quarter of a second, no index."""

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "250000", "strict": "-2"}
"""MP4 as Safari writes it: a quarter of a second to a fragment."""

SHORT_PAGES = {"page_duration": "20000"}
"""Ogg with a page for each packet; the muxer would gather a second."""


PACKET_MS = 20
_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7


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


def recorder_webm(samples: Samples, packets_per_cluster: int = 12) -> bytes:
    """WebM with Opus (48 kHz) as the MediaRecorder of Chrome writes it: clusters, too, have no size. Packets of 20 ms."""
    opus_head = b"OpusHead" + struct.pack("<BBHIhB", 1, len(samples), 312, 48_000, 0, 0)
    sound = _element("b5", struct.pack(">f", 48_000.0)) + _element("9f", bytes([len(samples)]))
    track = _element("d7", b"\1") + _element("73c5", b"\1") + _element("83", b"\2") + _element("86", b"A_OPUS")
    track += _element("63a2", opus_head) + _element("e1", sound)
    kind = _element("4286", b"\1") + _element("42f7", b"\1") + _element("42f2", b"\4") + _element("42f3", b"\x08")
    kind += _element("4282", b"webm") + _element("4287", b"\4") + _element("4285", b"\2")
    info = _element("2ad7b1", (1_000_000).to_bytes(3, "big")) + _element("4d80", b"Chrome") + _element("5741", b"Chrome")
    stream = _element("1a45dfa3", kind) + bytes.fromhex("18538067") + _UNKNOWN_SIZE
    stream += _element("1549a966", info) + _element("1654ae6b", _element("ae", track))
    for index, packet in enumerate(packets(samples, 48_000, "libopus")):
        if index % packets_per_cluster == 0:
            stream += CLUSTER + _UNKNOWN_SIZE + _element("e7", (index * PACKET_MS).to_bytes(4, "big"))
        offset_ms = index % packets_per_cluster * PACKET_MS
        stream += _element("a3", b"\x81" + struct.pack(">hB", offset_ms, 0x80) + packet)
    return stream


def _element(name: str, payload: bytes) -> bytes:
    return bytes.fromhex(name) + (1 << 28 | len(payload)).to_bytes(4, "big") + payload


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
