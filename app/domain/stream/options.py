"""What a live stream was asked to do, and every constant that shapes it, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.domain.audio import samples
from app.domain.errors import InvalidParameter

WINDOW_SAMPLES = 512
"""Samples one speech probability covers: 32 ms, the window Silero's detector was trained on."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """One stream. All times in seconds. Raises ``InvalidParameter`` for values that contradict each other.

    A client chooses the first five; the rest are constants of the server, here so that tests can make them small.
    """

    channels: int = 1
    """Channels transcribed apart. 1 when the client's channels are mixed."""

    interim_results: bool = False
    """Send what is heard so far while a segment is still open."""

    endpointing_s: float | None = 0.01
    """Silence after speech that sends ``speech_final``, as asked for; None: never. See ``effective_endpointing_s``."""

    utterance_end_s: float | None = None
    """Gap between words that sends ``UtteranceEnd``; None: never. Below 1 s it counts as 1 s (contract 3.5)."""

    vad_events: bool = False
    """Send ``SpeechStarted``."""

    takes_keyterms: bool = True
    """The engine favours terms: a ``Configure`` may change them."""

    idle_timeout_s: float = 10.0
    """Wall-clock seconds without audio or KeepAlive before the stream is closed (contract 3.7)."""

    endpointing_floor_s: float = 0.2
    """Least silence that counts as an endpoint. Deepgram's default of 10 ms would cut inside words: the closure before a
    stop consonant is silent for 50-100 ms."""

    longest_pause_s: float = 2.0
    """Silence that ends a segment even without an endpoint (``endpointing`` off or longer): Whisper invents words in long
    silences inside its window, and the text would wait up to ``max_segment_s`` for nothing."""

    max_segment_s: float = 15.0
    """Most audio one decode is given. Half of Whisper's window, so that a late cut still fits, and about 1 s of decoding."""

    preroll_s: float = 0.3
    """Audio decoded from before the detector's onset: it needs a window or two, and soft consonants come before it."""

    hangover_s: float = 0.096
    """Audio decoded after the last voiced window if anything is heard there: the burst of a final stop comes after a closure
    that the detector takes for the end. Fixed, so that every final of the same audio decodes the same."""

    still_hangover_s: float = 0.032
    """The same where what follows does not get louder, which is nearly always. One window, so that the decode that is asked
    for as soon as the voice is gone is the very one the final needs."""

    speculation_s: float = 0.032
    """Silence after which the final's decode starts, before it is known that the speaker has stopped: the first window that
    is not voiced. Two windows more cost every final 64 ms where the decode is what it waits for."""

    speculation_lead_s: float = 1.0
    """Time by which that decode precedes the end of the segment at most: ten seconds of speech decode in 0.8 s on two cores,
    and starting earlier than needed only throws more decodes away."""

    first_interim_s: float = 0.4
    """Speech heard before the first interim: less is rarely a whole word."""

    interim_min_gap_s: float = 0.3
    """Wall-clock seconds between two interims at least; more updates than three a second cannot be read."""

    interim_pace: float = 1.2
    """Next interim not before this many times the last one's wait: a busy server slows its interims down by itself."""

    silent_interim_every_s: float = 1.0
    """Audio seconds between empty interims; clients measure silence by them (contract 3.5, 6.3)."""

    silent_final_every_s: float = 4.0
    """Audio seconds of silence covered by one empty final (contract 3.5: every 3-5 s)."""

    speech_on: float = 0.5
    """Speech probability at which a window becomes voiced."""

    speech_off: float = 0.35
    """Probability below which it stops being voiced: silero's own distance of 0.15 between the two."""

    min_speech_s: float = 0.064
    """Voiced audio in one piece that counts as speech: two windows. A click fills one; no word is that short."""

    speech_restart_s: float = 0.3
    """Silence after which new speech is announced by ``SpeechStarted`` again (contract 3.5)."""

    cut_overlap_s: float = 0.3
    """Audio decoded on both sides of a cut inside speech, so that both decodes hear the word at the seam whole. About 220
    cuts in the loudest window of a word cost 37 words with 0.3 s, 54 with 0.2 s, 94 with 0.4 s and 305 without any
    (two-minute clip, self-test model, 2026-11-20)."""

    cut_pause_s: float = 0.096
    """Silence inside long speech that is long enough to cut in without overlap; shorter ones are closures inside words."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, float) and not (math.isfinite(value) and value >= 0):
                raise InvalidParameter(f"{name} must be a finite number of seconds, not negative", parameter=name)
        if self.channels < 1:
            raise InvalidParameter("channels must be at least 1", parameter="channels")
        early_s, late_s = sorted((self.hangover_s, self.speculation_s))
        if not self.still_hangover_s <= early_s <= late_s <= self.endpointing_floor_s <= self.longest_pause_s:
            raise InvalidParameter("still hangover, hangover, speculation, endpointing floor, longest pause: out of order")
        if not 0 <= self.speech_off <= self.speech_on <= 1:
            raise InvalidParameter("speech_off must not exceed speech_on", parameter="speech_off")
        if self.max_segment_s < 6 * self.cut_overlap_s or self.max_segment_s < 2 * self.preroll_s + 1.0:
            raise InvalidParameter("max_segment_s leaves no room for a cut", parameter="max_segment_s")
        if min(self.silent_interim_every_s, self.silent_final_every_s) < 0.1:
            raise InvalidParameter("silent results must be at least 0.1 s apart", parameter="silent_final_every_s")

    @property
    def effective_endpointing_s(self) -> float | None:
        """Silence that is an endpoint: never below the floor, larger values exactly."""
        return None if self.endpointing_s is None else max(self.endpointing_s, self.endpointing_floor_s)

    @property
    def effective_utterance_end_s(self) -> float | None:
        """Word gap that ends an utterance: at least 1 s."""
        return None if self.utterance_end_s is None else max(self.utterance_end_s, 1.0)

    @property
    def segment_pause_s(self) -> float:
        """Silence after speech that ends the segment: the shortest of endpoint, utterance end and longest pause."""
        limits = (self.effective_endpointing_s, self.effective_utterance_end_s, self.longest_pause_s)
        return min(limit for limit in limits if limit is not None)

    @property
    def stall_s(self) -> float:
        """Wall-clock seconds after which a stream that only sends KeepAlive is treated as silent (contract 3.5)."""
        return self.effective_utterance_end_s or self.longest_pause_s


@dataclass(frozen=True, slots=True)
class SampleCounts:
    """The options that are compared with positions in the audio, as samples at 16 kHz."""

    endpoint: int | None
    pause: int
    speculate: int
    hangover: int
    still_hangover: int
    preroll: int
    max_segment: int
    first_interim: int
    silent_interim: int
    silent_final: int
    min_speech: int
    speech_restart: int
    overlap: int
    cut_pause: int

    @classmethod
    def of(cls, options: StreamOptions) -> SampleCounts:
        """Converted once per stream."""
        endpoint_s = options.effective_endpointing_s
        pause_s = options.segment_pause_s
        return cls(
            endpoint=None if endpoint_s is None else samples(endpoint_s),
            pause=samples(pause_s),
            speculate=samples(max(options.speculation_s, pause_s - options.speculation_lead_s)),
            hangover=samples(options.hangover_s),
            still_hangover=samples(options.still_hangover_s),
            preroll=samples(options.preroll_s),
            max_segment=samples(options.max_segment_s),
            first_interim=samples(options.first_interim_s),
            silent_interim=samples(options.silent_interim_every_s),
            silent_final=samples(options.silent_final_every_s),
            min_speech=samples(options.min_speech_s),
            speech_restart=samples(options.speech_restart_s),
            overlap=samples(options.cut_overlap_s),
            cut_pause=samples(options.cut_pause_s),
        )
