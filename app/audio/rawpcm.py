"""Tracks of headerless samples, read as the client declares them."""

from __future__ import annotations

from collections.abc import Iterator

from app.audio.convert import PcmReader, Samples
from app.audio.source import ByteView
from app.domain.audio import AudioFormat
from app.domain.errors import BadAudio

_BYTES_PER_READ = 1 << 18


class RawTrack:
    """linear16, linear32, mulaw or alaw. Raises ``BadAudio`` when there is not one whole frame."""

    def __init__(self, view: ByteView, audio_format: AudioFormat) -> None:
        self._view = view
        self._reader = PcmReader(audio_format)
        self.channels = audio_format.channels
        self.sample_rate = audio_format.sample_rate

    def pieces(self) -> Iterator[Samples]:
        """See ``Track``."""
        found = False
        while data := self._view.read(_BYTES_PER_READ):
            samples = self._reader.feed(data)
            if samples.shape[1]:
                found = True
                yield samples
        if not found:
            raise BadAudio("The audio is shorter than one sample.")

    def close(self) -> None:
        """Nothing to give back."""
