"""Speech probabilities -> voiced or not, speech started, silence so far. Knows no audio: its tests are lists of floats."""

from __future__ import annotations

from enum import Enum

from app.domain.stream.options import WINDOW_SAMPLES


class Voice(Enum):
    """What one window turned out to be."""

    QUIET = "quiet"
    """Not voiced."""
    MAYBE = "maybe"
    """Voiced, but too short so far to be speech."""
    ONSET = "onset"
    """The window that makes a voiced stretch speech. Speech began at ``burst_start_samples``."""
    SPEECH = "speech"
    """Voiced, and part of speech."""


class Endpointer:
    """One channel's detector. Counts samples; how much silence means what is its caller's business.

    A voiced stretch (burst) starts at ``on`` and ends below ``off``; it is speech once it has lasted ``min_speech_samples``.
    A shorter one leaves no trace: silence goes on being counted as if it had not been.
    """

    def __init__(self, on: float, off: float, min_speech_samples: int) -> None:
        self._on = on
        self._off = off
        self._min_speech_samples = min_speech_samples
        self._burst_samples = 0
        self._is_speech = False
        self.clock_samples = 0
        """End of the last window."""
        self.burst_start_samples: int | None = None
        """Start of the voiced stretch that is going on."""
        self.voice_end_samples = 0
        """End of the last voiced window, speech or not; 0 before any."""
        self.speech_end_samples: int | None = None
        """End of the last window that is speech; None before any."""
        self.gap_samples: int | None = None
        """At an onset: silence between it and the speech before; None if there was none."""

    def feed(self, probability: float) -> Voice:
        """Take the next window's probability, 0..1. Anything that is not a number counts as silence."""
        start = self.clock_samples
        self.clock_samples = start + WINDOW_SAMPLES
        if not probability >= (self._on if self.burst_start_samples is None else self._off):
            self.burst_start_samples = None
            self._is_speech = False
            return Voice.QUIET
        if self.burst_start_samples is None:
            self.burst_start_samples = start
            self._burst_samples = 0
        self._burst_samples += WINDOW_SAMPLES
        self.voice_end_samples = self.clock_samples
        if self._burst_samples < self._min_speech_samples:
            return Voice.MAYBE
        voice = Voice.SPEECH
        if not self._is_speech:
            voice = Voice.ONSET
            self._is_speech = True
            self.gap_samples = None
            if self.speech_end_samples is not None:
                self.gap_samples = self.burst_start_samples - self.speech_end_samples
        self.speech_end_samples = self.clock_samples
        return voice

    def restart(self, at_samples: int) -> None:
        """Everything up to ``at_samples`` has been dealt with: speech that goes on must prove itself again from there."""
        if self._is_speech:
            self._is_speech = False
            self.burst_start_samples = at_samples
            self._burst_samples = 0

    @property
    def quiet_until_samples(self) -> int:
        """End of what is known to be silence after the last speech: a burst that may still become speech is not."""
        if self.burst_start_samples is None or self._is_speech:
            return self.clock_samples
        return self.burst_start_samples

    @property
    def silence_samples(self) -> int:
        """Silence since the last speech; since the start of the stream if there was none."""
        return self.quiet_until_samples - (self.speech_end_samples or 0)
