"""What recognition yields: frozen values, times in float seconds from the first sample of the recording."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from app.domain.intelligence.findings import Findings


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it is displayed: casing and attached punctuation kept, no space inside unless a formatter merged words.

    ``confidence`` is the geometric mean of its tokens' probabilities, 0..1. ``bare`` is the form without the sentence's
    punctuation where a formatter changed the word (None: ``forms.bare_form`` of the text). ``language`` is Whisper's code
    where words of one channel may differ in it. ``speaker`` counts from 0 and has a ``speaker_confidence``, 0..1, where
    voices were told apart. ``sentiment_score`` is that of its passage, -1 to 1, where one was found.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float
    bare: str | None = None
    language: str | None = None
    speaker: int | None = None
    speaker_confidence: float | None = None
    sentiment_score: float | None = None


@dataclass(frozen=True, slots=True)
class TokenScore:
    """The bytes of a token, which need not be whole characters, and the logarithm of its probability."""

    text: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class Segment:
    """What the engine returned between two of its timestamps (usually a sentence).

    ``tokens`` are the model's vocabulary ids; ``avg_logprob`` is the mean log-probability of the text tokens. Where words
    were formatted, ``text`` is theirs; where some were redacted, ``tokens`` and ``scores`` are empty.
    ``temperature`` is the one decoding began with, ``window_start_s`` where the audio began that was decoded together.
    Where ``DecodeOptions.scores`` asked for them, ``scores`` has one entry for each of ``tokens``, and ``no_speech_prob`` is
    the model's probability, 0..1, that nobody speaks (None: it cannot be measured with this engine).
    """

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]
    tokens: tuple[int, ...]
    avg_logprob: float
    temperature: float = 0.0
    window_start_s: float = 0.0
    scores: tuple[TokenScore, ...] = ()
    no_speech_prob: float | None = None

    @property
    def compression_ratio(self) -> float:
        """Bytes of the text over bytes of its zlib form; well above 2 where the text repeats itself."""
        raw = self.text.encode()
        return len(raw) / len(zlib.compress(raw))


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The result of one decode: segments in order, and how it came about.

    ``language`` is Whisper's code; ``decode_s`` is engine time in seconds, second tries included; ``queue_s`` the wait for a
    worker; ``retries`` counts decodes repeated because the first looked wrong or because a worker died.
    """

    segments: tuple[Segment, ...]
    language: str
    decode_s: float = 0.0
    queue_s: float = 0.0
    retries: int = 0

    @property
    def words(self) -> tuple[Word, ...]:
        """All words of all segments, in order."""
        return tuple(word for segment in self.segments for word in segment.words)


@dataclass(frozen=True, slots=True)
class LanguageGuess:
    """A language code of Whisper's and its probability, 0..1."""

    language: str
    probability: float


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that did the work, as responses name it. ``uuid`` is stable for a name."""

    name: str
    uuid: str
    version: str
    architecture: str = "whisper"


@dataclass(frozen=True, slots=True)
class RequestWarning:
    """Something the client should know though the request succeeded (contract 2.5, ``metadata.warnings``)."""

    parameter: str
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Entity:
    """A named thing in the words ``start`` up to (not including) ``end``.

    ``label`` is Deepgram's, in upper case. ``value`` is how it is displayed, ``raw_value`` how it was spoken.
    """

    label: str
    start: int
    end: int
    value: str
    raw_value: str
    confidence: float


@dataclass(frozen=True, slots=True)
class SearchHit:
    """Where a phrase was found; ``confidence`` 0..1, ``snippet`` as displayed."""

    confidence: float
    start_s: float
    end_s: float
    snippet: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All hits of one phrase, best first."""

    query: str
    hits: tuple[SearchHit, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """One transcribed channel. ``detected`` is set only when detection was asked for; ``entities`` count its words."""

    segments: tuple[Segment, ...]
    language: str
    detected: LanguageGuess | None = None
    entities: tuple[Entity, ...] = ()
    search: tuple[SearchResult, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """All words of all segments, in order."""
        return tuple(word for segment in self.segments for word in segment.words)


@dataclass(frozen=True, slots=True)
class Timing:
    """Where a request's time went, in seconds: ``queue_s``, ``decode_s`` summed over its decodes, ``total_s`` wall clock."""

    queue_s: float = 0.0
    decode_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """A finished recording: one entry per transcribed channel (a single one unless ``multichannel``).

    ``duration_s`` is where it ends; ``start_s`` is where the part of it begins that was asked for, and ``audio_s`` is what
    was recognised. ``diarizer`` is what told its speakers apart, if anything did.
    """

    channels: tuple[Channel, ...]
    duration_s: float
    model: ModelInfo
    warnings: tuple[RequestWarning, ...] = ()
    timing: Timing = Timing()
    findings: Findings | None = None
    diarizer: ModelInfo | None = None
    start_s: float = 0.0

    @property
    def audio_s(self) -> float:
        """Seconds of audio that were recognised, silence included."""
        return max(0.0, self.duration_s - self.start_s)
