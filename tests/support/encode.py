"""Files in every format the server reads, made by the same libraries from samples of shape ``(channels, n)``."""

from __future__ import annotations

import io
import struct

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_BIT_RATES = {"libopencore_amrnb": 12_200}
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def sndfile(samples: Samples, rate: int, container: str, subtype: str) -> bytes:
    """A file written by libsndfile."""
    target = io.BytesIO()
    with soundfile.SoundFile(target, "w", rate, len(samples), subtype, format=container) as file:
        for begin in range(0, samples.shape[1], 4096):  # long single writes crash the Vorbis encoder
            file.write(samples[:, begin : begin + 4096].T)
    return target.getvalue()


def libav(samples: Samples, rate: int, container: str, codec: str, *, video: bool = False) -> bytes:
    """A file written by the FFmpeg libraries, with a moving picture beside the sound if asked for."""
    target = io.BytesIO()
    layout = _LAYOUTS[len(samples)]
    with av.open(target, "w", format=container) as output:
        picture = None
        if video:
            picture = output.add_stream("mpeg4", rate=10)
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.format = av.codec.Codec(codec, "w").audio_formats[0]
        stream.bit_rate = _BIT_RATES.get(codec, 192_000)
        stream.open()
        resampler = av.AudioResampler(stream.format, layout, rate, frame_size=stream.codec_context.frame_size or 1024)
        if picture is not None:
            for index in range(round(samples.shape[1] / rate * 10)):
                image = np.full((64, 64, 3), index * 10 % 256, np.uint8)
                output.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            output.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate = rate
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
    return target.getvalue()


def wav(
    data: bytes, *, tag: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, data_size: int | None = None
) -> bytes:
    """A WAV file around ``data`` whose header says ``data_size`` (None: the truth)."""
    frame = channels * bits // 8
    size = len(data) if data_size is None else data_size
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    riff = min(0xFFFFFFFF, 36 + size)
    return struct.pack("<4sI4s4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16) + fmt + struct.pack("<4sI", b"data", size) + data


def from_linear16(data: bytes, channels: int) -> Samples:
    """What ``linear16`` kept, shape ``(n, channels)``."""
    return (np.frombuffer(data, "<i2").astype(np.float32) / 32_768).reshape(-1, channels)


def linear16(samples: Samples) -> bytes:
    """Interleaved 16-bit little-endian samples."""
    return (np.clip(samples.T, -1, 1) * 32_767).astype("<i2").tobytes()
