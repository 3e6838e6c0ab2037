"""Which part reads a live stream: what the client declared, and the first bytes, decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.audio.convert import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, PcmReader
from app.audio.live_container import ContainerPart
from app.audio.live_flac import FlacPart
from app.audio.live_mp4 import Mp4Part
from app.audio.live_packets import FixedPart, PacketPart, ParsedPart, PlainPart, has_decoder
from app.audio.live_part import LivePart
from app.audio.live_wav import WavPart
from app.audio.sniff import Container, sniff
from app.domain.audio import AudioFormat, AudioLimits
from app.domain.errors import BadAudio, InvalidParameter

OpenPart = Callable[[], LivePart]

SIGNATURE_BYTES: Final = 16
"""Enough for every signature that stands at the start."""

DECIDE_BYTES: Final = 16 << 10
"""A stream of bare frames that was joined in its middle shows three whole frames in this much. All else has a signature."""

_CODECS: Final = {
    "opus": "opus",
    "speex": "speex",
    "g729": "g729",
    "amr-nb": "amrnb",
    "amr-wb": "amrwb",
}  # declared encodings without a container -> FFmpeg's decoder
_PACKET_ENCODINGS: Final = frozenset(("opus", "speex"))
_FIXED_RATES: Final = {"amr-nb": 8000, "amr-wb": 16_000, "g729": 8000}
_G729_BYTES: Final = 10
_PARSED: Final = {Container.MP3: "mp3", Container.AAC: "aac", Container.AC3: "ac3"}
_HEADLESS: Final = (b"\x1fC\xb6\x75", b"moof")
"""A cluster of WebM and a fragment of MP4: what a recording goes on with. Neither can be decoded without the beginning."""


def check_declared(declared: AudioFormat, limits: AudioLimits) -> None:
    """Raise ``InvalidParameter`` for what cannot be decoded, so that a handshake can be refused."""
    encoding = declared.encoding
    if not 1 <= declared.channels <= limits.max_channels:
        raise InvalidParameter(f"channels must lie between 1 and {limits.max_channels}.", parameter="channels")
    needs_rate = PcmReader.reads(encoding) or encoding in _PACKET_ENCODINGS
    if needs_rate and not MIN_SAMPLE_RATE <= declared.sample_rate <= MAX_SAMPLE_RATE:
        message = f"sample_rate must lie between {MIN_SAMPLE_RATE} and {MAX_SAMPLE_RATE}."
        raise InvalidParameter(message, parameter="sample_rate")
    codec = _CODECS.get(encoding)
    if codec is not None:
        if declared.channels > 2:
            raise InvalidParameter(f"{encoding} packets hold one or two channels.", parameter="channels")
        if not has_decoder(codec):
            raise InvalidParameter(f"This server has no decoder for {encoding}.", parameter="encoding")


def declared_channels(declared: AudioFormat | None) -> int | None:
    """Channels that hold whatever the bytes turn out to be; None where only a container can say."""
    if declared is None or not (PcmReader.reads(declared.encoding) or declared.encoding in _CODECS):
        return None
    return declared.channels


def choose(head: bytes, declared: AudioFormat | None, *, ended: bool) -> tuple[Container | None, OpenPart] | None:
    """The container that begins with ``head`` (if one does) and how to open its part; None: more bytes are needed.

    Containers win over what is declared, as they do for recordings. Raises ``BadAudio`` when it is neither.
    """
    if declared is not None and declared.encoding in _PACKET_ENCODINGS:
        ended = True  # messages are packets, so there is no waiting for more
    if len(head) < SIGNATURE_BYTES and not ended:
        return None
    container = sniff(head, search=True) if declared is None else sniff(head[:SIGNATURE_BYTES], search=False)
    if container is not None:
        return container, _opening(container, head)
    if declared is not None:
        return (Container.FLAC if declared.encoding == "flac" else None), _declared_opening(declared)
    if head.startswith(_HEADLESS[0]):
        raise BadAudio("The stream begins in the middle of a recording: its header is missing.")
    if ended or len(head) >= DECIDE_BYTES:
        raise BadAudio
    return None


def _opening(container: Container, head: bytes) -> OpenPart:
    if container is Container.MP4 and head[4:8] == _HEADLESS[1]:
        raise BadAudio("The stream begins in the middle of a recording: its header is missing.")
    if container is Container.MP4:
        return Mp4Part
    if container is Container.WAV:
        return WavPart
    if container is Container.FLAC:
        return FlacPart
    if container is Container.AMR:
        wide = head.startswith(b"#!AMR-WB\n")
        return lambda: (
            ParsedPart("amrwb", 16_000, 1, len(b"#!AMR-WB\n")) if wide else ParsedPart("amrnb", 8000, 1, len(b"#!AMR\n"))
        )
    codec = _PARSED.get(container)
    if codec is not None:
        return lambda: ParsedPart(codec)
    return lambda: ContainerPart(container.value)


def _declared_opening(declared: AudioFormat) -> OpenPart:
    encoding, channels = declared.encoding, declared.channels
    if encoding == "ogg-opus":
        raise BadAudio("The stream was declared as Ogg and is not.")
    if encoding == "flac":
        return FlacPart
    if PcmReader.reads(encoding):
        return lambda: PlainPart(declared)
    codec, rate = _CODECS[encoding], _FIXED_RATES.get(encoding, declared.sample_rate)
    if encoding in _PACKET_ENCODINGS:
        return lambda: PacketPart(codec, rate, channels)
    if encoding == "g729":
        return lambda: FixedPart(codec, rate, 1, _G729_BYTES)
    return lambda: ParsedPart(codec, rate, 1)
