"""Voices of a live stream: each final is compared with the voices heard before it. A label, once given, is never changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.diarization.tracks import NEEDED_SAMPLES, WINDOW_SAMPLES, Track, TrackBuilder, Window, WindowFeed
from app.diarization.voices import Scale, Stretch, confidences, stretches, track_sums
from app.domain.audio import SAMPLE_RATE, Pcm16k
from app.domain.clustering import SAME_VOICE, Voices, voice_distances
from app.domain.speakers import SpeakerTurn, words_with_speakers
from app.domain.transcript import Word

MOST_SPEAKERS = 16
"""Voices of a stream. Beyond it the nearest is taken: memory and the cost of a final stay bounded."""

_FOUNDING_FRAMES = 38
"""Voiced frames that can found a speaker, about 0.8 s of speech."""

_LEARNING_FRAMES = 12
"""Voiced frames from which a stretch teaches anything about its speaker."""

_NEW_VOICE = 45.0
"""Distance from all known voices beyond which a stretch founds a new one. Lower than for recordings: what is taken for
somebody else's at the start of a stream changes that voice for good, and voices that turn out alike are united later."""

_SURE_VOICE = 30.0
"""Distance up to which a stretch adds to what is known of the nearest voice. Between the two it is only named after it."""

_WINDOW_S = WINDOW_SAMPLES / SAMPLE_RATE
Floats = NDArray[np.float64]


class BasicLiveSpeakers:
    """Fulfils ``ports.LiveSpeakers`` for one channel.

    What a final gets depends on the sound up to its end and on the finals before it, never on what was heard meanwhile:
    audio sent faster than it was spoken gives the same labels.
    """

    def __init__(self) -> None:
        self._feed = WindowFeed()
        self._windows: deque[Window] = deque()
        self._scale = Scale()
        self._counts: list[float] = []
        self._sums: list[Floats] = []  # not scaled: the scale still learns
        self._same_as: list[int] = []  # the label that speaks for each label; itself unless two turned out to be one voice
        self._last = 0

    @property
    def waiting_windows(self) -> int:
        """Windows kept because no final has covered them."""
        return len(self._windows)

    @property
    def known_voices(self) -> int:
        """Voices heard so far."""
        return len(self._counts)

    def feed(self, pcm: Pcm16k, probabilities: NDArray[np.float32]) -> None:
        self._keep(self._feed.feed(pcm, probabilities))

    def final(self, words: Sequence[Word], end_s: float) -> tuple[Word, ...]:
        track = self._track(end_s, forget=True)
        self._scale.learn(track)
        turns = [self._learned(*stretch) for stretch in self._stretches(track)]
        if turns:
            self._last = turns[-1].speaker
        return words_with_speakers(words, turns or self._unheard(words))

    def interim(self, words: Sequence[Word], end_s: float) -> tuple[Word, ...]:
        turns = [self._compared(*stretch) for stretch in self._stretches(self._track(end_s, forget=False))]
        return words_with_speakers(words, turns or self._unheard(words))

    def _keep(self, windows: list[Window]) -> None:
        self._windows.extend(windows)

    def _track(self, end_s: float, *, forget: bool) -> Track:
        """The speech up to ``end_s`` that no final has covered: the windows whose frames end before it."""
        self._keep(self._feed.ready())
        last = (round(end_s * SAMPLE_RATE) - NEEDED_SAMPLES) // WINDOW_SAMPLES
        covered = [window for window in self._windows if window.index <= last]
        if forget:
            for _ in covered:
                self._windows.popleft()
        builder = TrackBuilder()
        builder.feed(covered)
        return builder.close()

    def _stretches(self, track: Track) -> list[tuple[float, float, float, Floats]]:
        """Start and end in seconds, count and unscaled sum of each stretch of one voice."""
        if not track.starts:
            return []
        sums = track_sums(track)
        counts = np.array(track.counts, np.float64)
        found = stretches(track, Voices(counts, self._scale.scaled(sums)))

        def facts(stretch: Stretch) -> tuple[float, float, float, Floats]:
            own = slice(stretch.begin, stretch.end)
            span = track.starts[stretch.begin] * _WINDOW_S, track.ends[stretch.end - 1] * _WINDOW_S
            return *span, float(counts[own].sum()), sums[own].sum(axis=0)

        return [facts(stretch) for stretch in found]

    def _learned(self, start_s: float, end_s: float, count: float, total: Floats) -> SpeakerTurn:
        """The speaker of a stretch, who may be new; what was heard is added to what is known of the voice."""
        speaker, confidence, is_alike = self._nearest(count, total)
        is_new = speaker == len(self._counts)
        if is_new:
            self._counts.append(0.0)
            self._sums.append(np.zeros_like(total))
            self._same_as.append(speaker)
        if is_new or (is_alike and count >= _LEARNING_FRAMES):
            self._counts[speaker] += count
            self._sums[speaker] = self._sums[speaker] + total
            self._unite(speaker)
        return SpeakerTurn(start_s, end_s, self._same_as[speaker], confidence)

    def _compared(self, start_s: float, end_s: float, count: float, total: Floats) -> SpeakerTurn:
        speaker, confidence, _ = self._nearest(count, total)
        return SpeakerTurn(start_s, end_s, speaker, confidence)

    def _nearest(self, count: float, total: Floats) -> tuple[int, float, bool]:
        """The label of a voice (a new one if it is nobody's), how sure that is, and whether it sounds like the speaker."""
        if not self._counts:
            return 0, 1.0, True
        if not count:
            return self._last, 0.0, False
        distances = voice_distances(*self._scaled([count], [total]))
        masked = np.where([self._same_as[label] == label for label in range(len(self._counts))], distances[0], np.inf)
        best = int(masked.argmin())
        if masked[best] >= _NEW_VOICE and count >= _FOUNDING_FRAMES and len(self._counts) < MOST_SPEAKERS:
            fresh = float(1 - np.exp(-(masked[best] - _NEW_VOICE) / _NEW_VOICE) / 2)
            return len(self._counts), fresh, True
        sure = confidences(masked[np.newaxis], np.array([best]), _NEW_VOICE)
        return best, float(sure[0]), bool(masked[best] < _SURE_VOICE)

    def _scaled(self, counts: list[float], totals: list[Floats]) -> tuple[Voices, Voices]:
        """Voices to compare, and the known ones."""
        known = Voices(np.array(self._counts), self._scale.scaled(np.array(self._sums)))
        return Voices(np.array(counts), self._scale.scaled(np.array(totals))), known

    def _unite(self, speaker: int) -> None:
        """If this voice has become like another one, the older label speaks for both from now on."""
        if len(self._counts) < 2:
            return
        own, known = self._scaled([self._counts[speaker]], [self._sums[speaker]])
        distances = voice_distances(own, known)[0]
        for other in range(len(self._counts)):
            if other != speaker and self._same_as[other] == other and distances[other] < SAME_VOICE / 2:
                older, newer = sorted((speaker, other))
                self._counts[older] += self._counts[newer]
                self._sums[older] = self._sums[older] + self._sums[newer]
                self._same_as = [older if label == newer else label for label in self._same_as]
                return

    def _unheard(self, words: Sequence[Word]) -> list[SpeakerTurn]:
        """Words without a voiced sound: whoever spoke last."""
        return [SpeakerTurn(words[0].start_s, words[-1].end_s, self._last, 0.0)] if words else []
