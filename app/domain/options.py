"""Everything a caller may ask, validated, in no vendor's words. Dialects build these from their wire formats."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from app.domain.audio import WHOLE, AudioFormat, TimeRange
from app.domain.chunking import ChunkingOptions
from app.domain.intelligence.options import IntelligenceOptions
from app.domain.stream.options import StreamOptions
from app.domain.transcript import RequestWarning


@dataclass(frozen=True, slots=True)
class Keyterm:
    """A word or phrase to favour. ``boost`` 1 is the usual strength; below 0 it is to be heard less often."""

    text: str
    boost: float = 1.0


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """One decode. Always complete: nothing persists from one call to the next.

    ``language`` is Whisper's code, or None to detect it; ``languages`` restricts detection to these codes (empty: all).
    ``prompt`` is text the decoder is conditioned on, ``keyterms`` are words it is to favour. ``fit_context`` lets the
    encoder be cut to the audio's length. ``scores`` asks for the figures of ``Segment`` that cost a decoder step more.
    ``temperature`` 0 is greedy; ``beam_size`` 1 is no beam; ``best_of`` counts only at a temperature above 0.
    """

    language: str | None = "en"
    languages: tuple[str, ...] = ()
    translate: bool = False
    prompt: str = ""
    keyterms: tuple[Keyterm, ...] = ()
    temperature: float = 0.0
    temperature_fallback: bool = True
    beam_size: int = 1
    best_of: int = 1
    fit_context: bool = True
    scores: bool = False


@dataclass(frozen=True, slots=True)
class DecodingChoices:
    """How a request wants to be decoded; None leaves it to the server. The fields are those of ``DecodeOptions``."""

    temperature: float | None = None
    beam_size: int | None = None
    best_of: int | None = None

    def over(self, options: DecodeOptions) -> DecodeOptions:
        """``options`` with what the request chose."""
        return replace(
            options,
            temperature=options.temperature if self.temperature is None else self.temperature,
            beam_size=options.beam_size if self.beam_size is None else self.beam_size,
            best_of=options.best_of if self.best_of is None else self.best_of,
        )


DEFAULT_UTTERANCE_SPLIT_S = 0.8
"""Deepgram's default of ``utt_split``, in seconds."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """``find`` -> ``replacement``, whole words; an empty replacement deletes (contract 2.7)."""

    find: str
    replacement: str = ""


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How words are shown. ``utterance_split_s``: the silence between words, in seconds, that splits utterances.

    ``filler_words`` keeps "uh" and "um". ``smart_format`` writes everything the finders know as it is usually written,
    ``numerals`` only numbers, ``measurements`` units after numbers. ``dictation`` turns spoken marks into marks and needs
    ``punctuate``. ``redact`` holds rules and entity types in lower case, ``numbers`` for Deepgram's ``true``. ``search``
    holds phrases to find.
    """

    punctuate: bool = False
    filler_words: bool = False
    paragraphs: bool = False
    utterances: bool = False
    utterance_split_s: float = DEFAULT_UTTERANCE_SPLIT_S
    smart_format: bool = False
    numerals: bool = False
    measurements: bool = False
    dictation: bool = False
    profanity_filter: bool = False
    redact: tuple[str, ...] = ()
    replace: tuple[Replacement, ...] = ()
    search: tuple[str, ...] = ()
    detect_entities: bool = False


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """One recording.

    ``model`` as the client wrote it, or None for the default. ``language`` is Whisper's code. ``detect_language`` overrides
    it; ``detect_among`` restricts the choice. ``code_switching`` detects the language of each phrase, among
    ``language_hints`` if there are any, and names it at each word.
    ``keyterms`` are words to favour or to avoid.
    ``part`` is what is recognised of the recording; times stay those of the whole. ``decoding`` overrides the server's.
    ``scores`` asks for all figures of ``Segment``. ``chunking`` is how the recording is cut; None leaves it to the server.
    ``multichannel`` transcribes channels apart, else they are mixed; ``diarize`` tells the voices of each apart.
    ``audio_format`` is the declared coding of headerless audio. ``warnings`` gathers what the dialect could not honour.
    """

    model: str | None = None
    language: str = "en"
    detect_language: bool = False
    detect_among: tuple[str, ...] = ()
    code_switching: bool = False
    language_hints: tuple[str, ...] = ()
    translate: bool = False
    prompt: str = ""
    keyterms: tuple[Keyterm, ...] = ()
    decoding: DecodingChoices = field(default_factory=DecodingChoices)
    scores: bool = False
    chunking: ChunkingOptions | None = None
    multichannel: bool = False
    diarize: bool = False
    audio_format: AudioFormat | None = None
    part: TimeRange = WHOLE
    text: TextOptions = field(default_factory=TextOptions)
    intelligence: IntelligenceOptions = field(default_factory=IntelligenceOptions)
    warnings: tuple[RequestWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """One live stream. The fields mean what they mean in ``TranscribeOptions``; ``stream`` shapes its segments."""

    model: str | None = None
    language: str = "en"
    code_switching: bool = False
    language_hints: tuple[str, ...] = ()
    translate: bool = False
    prompt: str = ""
    keyterms: tuple[Keyterm, ...] = ()
    decoding: DecodingChoices = field(default_factory=DecodingChoices)
    multichannel: bool = False
    diarize: bool = False
    audio_format: AudioFormat | None = None
    text: TextOptions = field(default_factory=TextOptions)
    stream: StreamOptions = field(default_factory=StreamOptions)
