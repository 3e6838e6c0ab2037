"""What a live decoder gives: sound of any rate and shape as 16 kHz blocks of one shape."""

from __future__ import annotations

import numpy as np

from app.audio.convert import Samples, check_sample_rate, finite
from app.audio.libav import fitted
from app.audio.live_part import Sound
from app.audio.live_resample import StreamResampler, live_resampler
from app.domain.audio import PcmBlock
from app.domain.errors import BadAudio

_MOST_VALUES_AT_ONCE = 64 << 20
"""Samples of all channels that one message may become: 256 MB, or 70 minutes of one channel. A message of kilobytes that
becomes more was made for that."""

_RESAMPLED_AT_ONCE = 1 << 20


class LiveOutput:
    """Gathers sound and hands it out. The first sound decides the channels unless ``channels`` does; the rest is fitted."""

    def __init__(self, channels: int | None, max_channels: int) -> None:
        self.channels = channels
        self._max_channels = max_channels
        self._sample_rate = 0
        self._resampler: StreamResampler | None = None
        self._gathered: list[Samples] = []
        self._blocks: list[PcmBlock] = []
        self._gathered_values = self._values = 0  # of this moment; since the last ``take``

    def add(self, sound: Sound) -> None:
        """Take the next sound. Raises ``BadAudio`` for too many channels, an absurd rate, or too much of it."""
        if self.channels is None:
            if len(sound.samples) > self._max_channels:
                raise BadAudio(f"The audio has {len(sound.samples)} channels; at most {self._max_channels} are supported.")
            self.channels = len(sound.samples)
        if sound.sample_rate != self._sample_rate:
            self.end()
            self._sample_rate = check_sample_rate(sound.sample_rate)
            self._resampler = live_resampler(sound.sample_rate, self.channels)
        samples = fitted(sound.samples, self.channels)
        self._values += samples.size
        if self._values > _MOST_VALUES_AT_ONCE:
            raise BadAudio("One message holds more sound than the server takes at once.")
        self._gathered.append(samples)
        self._gathered_values += samples.size
        if self._gathered_values > _RESAMPLED_AT_ONCE:
            self._resample()

    def end(self) -> None:
        """Sound ends here, or goes on at another rate: get the rest out of the resampler."""
        self._resample()
        if self._resampler is not None:
            self._blocks.append(self._resampler.flush())
        self._resampler, self._sample_rate = None, 0

    def take(self) -> PcmBlock:
        """Everything since the last call, shape ``(channels, n)``; one row of nothing while the channels are unknown."""
        self._resample()
        blocks, self._blocks, self._values = self._blocks, [], 0
        if len(blocks) == 1:
            return blocks[0]
        return np.concatenate(blocks, axis=1) if blocks else np.zeros((self.channels or 1, 0), np.float32)

    def _resample(self) -> None:
        if self._gathered and self._resampler is not None:
            sound = self._gathered[0] if len(self._gathered) == 1 else np.concatenate(self._gathered, axis=1)
            self._blocks.append(self._resampler.feed(finite(sound)))
            self._gathered, self._gathered_values = [], 0
