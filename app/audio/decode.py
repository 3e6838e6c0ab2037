"""Any recording to 16 kHz float32 in bounded pieces: the adapter behind ``ports.AudioDecoder``.

What is decoded by what: the bytes are sniffed; a recognised container goes to libsndfile or to the FFmpeg libraries, to the
other one when the first refuses; anything else is read as the client declares it, or refused.

A file that breaks off gives the sound up to there: a recording cut in the middle is transcribed, one that ends inside its
header is ``BadAudio``. Nothing is held but one block, and a header's duration is never believed: the limit on seconds counts
what has been decoded, so a small file that unpacks to days stops early.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from math import gcd
from typing import BinaryIO

import numpy as np

from app.audio.convert import PcmReader, Resampler, Samples, check_sample_rate, finite
from app.audio.libav import LibavTrack
from app.audio.rawpcm import RawTrack
from app.audio.sndfile import SndfileTrack
from app.audio.sniff import SNIFF_BYTES, Container, id3_bytes, sniff
from app.audio.source import ByteView, Track
from app.audio.wav import holds_mp3, repaired
from app.domain.audio import SAMPLE_RATE, WHOLE, AudioFormat, AudioLimits, PcmBlock, TimeRange, samples
from app.domain.errors import BadAudio, PayloadTooLarge

_BLOCK_S = 10.0
_BLOCK_VALUES = 4_000_000
"""A block lasts ten seconds at most, less with many channels: 16 MB of samples at the source's rate in all."""

_LEAD_SAMPLES = 800
"""Samples at 16 kHz that are resampled before a part begins: the filter reaches over less than half of them."""

_SNDFILE_FIRST = frozenset(
    (Container.WAV, Container.W64, Container.AIFF, Container.AU, Container.CAF, Container.FLAC, Container.OGG)
)
"""MP3 is missing on purpose. soundfile seeks after every read, and the MP3 decoder of libsndfile is not exact after a seek:
read in blocks, a sweep differed from itself by 0.12 of full scale at the seams. It also prints to standard error."""

_BARE_CODECS = {
    "flac": "flac",
    "amr-nb": "amrnb",
    "amr-wb": "amrwb",
    "g729": "g729",
}
"""Declared encodings without a container whose frames FFmpeg can find -> its demuxer. Packets of Opus and Speex carry no
length: in a file they need Ogg, which is recognised."""


class Decoder:
    """Fulfils ``ports.AudioDecoder``. Stateless: one instance may be used by many threads, a source by one."""

    @contextmanager
    def open(
        self, source: BinaryIO, declared: AudioFormat | None, limits: AudioLimits, part: TimeRange = WHOLE
    ) -> Iterator[Recording]:
        """Open ``source`` (seekable, read from its start, not closed), to read ``part`` of it.

        ``declared`` counts only where the bytes name no container. Raises ``BadAudio`` if nothing can be decoded or there
        are more channels than ``limits.max_channels``; ``Recording.blocks`` raises ``PayloadTooLarge`` past
        ``limits.max_seconds``.
        """
        track, start = _first_that_decodes(_attempts(source, declared), limits)
        try:
            yield Recording(track, start, limits.max_seconds, part)
        finally:
            track.close()


class Recording:
    """Fulfils ``ports.DecodedAudio``. ``channels`` and ``sample_rate`` (hertz) are the source's."""

    def __init__(self, track: Track, pieces: Iterator[Samples], max_seconds: float, part: TimeRange = WHOLE) -> None:
        self.channels = track.channels
        self.sample_rate = track.sample_rate
        self._pieces = pieces
        self._max_samples = round(max_seconds * SAMPLE_RATE)
        self._max_seconds = max_seconds
        self._start = samples(part.start_s)
        self._end = None if part.duration_s is None else self._start + samples(part.duration_s)
        # Sound before the part is decoded but not resampled. Where resampling sets in both rates have a sample at the same
        # moment, so that its output is that of the whole recording.
        step = SAMPLE_RATE // gcd(SAMPLE_RATE, self.sample_rate)
        self._at = max(0, self._start - _LEAD_SAMPLES) // step * step
        self._skipped = self._at * self.sample_rate // SAMPLE_RATE

    def blocks(self) -> Iterator[PcmBlock]:
        """The part, once, in blocks of at most about ten seconds, shape ``(channels, n)``."""
        resampler = Resampler(self.sample_rate, self.channels)
        at = self._at
        for block in chain(map(resampler.feed, self._gathered()), _once(resampler.flush)):
            begin, at = at, at + block.shape[1]
            if at > self._max_samples:
                raise self._too_long()
            wanted = block[:, max(0, self._start - begin) : None if self._end is None else max(0, self._end - begin)]
            if wanted.shape[1]:
                yield wanted
            if self._end is not None and at >= self._end:
                return

    def _too_long(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The recording lasts longer than {self._max_seconds:g} seconds, the limit here.")

    def _pieces_from_start(self) -> Iterator[Samples]:
        passed = 0
        for piece in self._pieces:
            kept = piece[:, max(0, self._skipped - passed) :]
            passed += piece.shape[1]
            if passed <= self._skipped and passed > self._max_seconds * self.sample_rate:
                raise self._too_long()
            if kept.shape[1]:
                yield kept

    def _gathered(self) -> Iterator[Samples]:
        # Codecs give a few hundred samples at a time; VAD and resampler want more.
        enough = max(1, min(int(_BLOCK_S * self.sample_rate), _BLOCK_VALUES // self.channels))
        waiting: list[Samples] = []
        count = 0
        for piece in self._pieces_from_start():
            for begin in range(0, piece.shape[1], enough):
                part = piece[:, begin : begin + enough]
                if count + part.shape[1] > enough:
                    yield finite(np.concatenate(waiting, axis=1))
                    waiting, count = [], 0
                waiting.append(part)
                count += part.shape[1]
        if waiting:
            yield finite(np.concatenate(waiting, axis=1))


def _once(make: Callable[[], Samples]) -> Iterator[Samples]:
    yield make()


def _first_that_decodes(attempts: list[Callable[[], Track]], limits: AudioLimits) -> tuple[Track, Iterator[Samples]]:
    """The first track that yields sound, and all its pieces."""
    reason: BadAudio | None = None
    for attempt in attempts:
        track = None
        try:
            track = attempt()
            check_sample_rate(track.sample_rate)
            pieces = track.pieces()
            first = next(pieces, None)
        except BadAudio as refusal:
            reason = reason or refusal
            first = None
        if track is None:
            continue
        if first is None:
            track.close()
            continue
        if track.channels > limits.max_channels:
            track.close()
            raise BadAudio(f"The audio has {track.channels} channels; at most {limits.max_channels} are supported.")
        return track, chain((first,), pieces)
    raise reason or BadAudio


def _attempts(source: BinaryIO, declared: AudioFormat | None) -> list[Callable[[], Track]]:
    size = source.seek(0, io.SEEK_END)
    offset, head = _after_tags(source, size)
    if not head:
        raise BadAudio("The request contains no audio data.")
    # Samples are not searched for sync words: loud noise must stay what the client says it is.
    container = sniff(head, search=declared is None or not PcmReader.reads(declared.encoding))

    def view() -> ByteView:
        return ByteView(source, offset, size - offset)

    if container is None:
        return _declared_attempts(view, declared)
    if container is Container.WAV and offset == 0:
        whole = repaired(source, size)
        if whole is not None:
            either: list[Callable[[], Track]] = [
                lambda: SndfileTrack(_rewound(whole)),
                lambda: LibavTrack(_rewound(whole), "wav"),
            ]
            return either[::-1] if holds_mp3(whole) else either
    tries: list[Callable[[], Track]] = [lambda: LibavTrack(view(), container.value)]
    if container in _SNDFILE_FIRST and not _is_piped_flac(head):
        tries.insert(0, lambda: SndfileTrack(view()))
    return tries


def _is_piped_flac(head: bytes) -> bool:
    """Whether it is FLAC whose header states no length, as encoders write into a pipe: libsndfile drops its last block."""
    total_samples = int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF  # 36 bits of STREAMINFO
    return head[:4] == b"fLaC" and len(head) >= 26 and total_samples == 0


def _after_tags(source: BinaryIO, size: int) -> tuple[int, bytes]:
    """Offset of the first byte behind any ID3 tags, and what begins there. Cover pictures make tags of megabytes."""
    offset = 0
    while True:
        source.seek(offset)
        head = source.read(SNIFF_BYTES)
        tag = id3_bytes(head)
        if tag == 0 or offset + tag >= size:
            return offset, head
        offset += tag


def _declared_attempts(view: Callable[[], ByteView], declared: AudioFormat | None) -> list[Callable[[], Track]]:
    if declared is None:
        raise BadAudio
    if PcmReader.reads(declared.encoding):
        return [lambda: RawTrack(view(), declared)]
    demuxer = _BARE_CODECS.get(declared.encoding)
    if demuxer is None:
        raise BadAudio(f"{declared.encoding} can be read only inside an Ogg, WebM or Matroska container.")
    return [lambda: LibavTrack(view(), demuxer)]


def _rewound(view: ByteView) -> ByteView:
    view.seek(0)
    return view
