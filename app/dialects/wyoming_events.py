"""The Wyoming protocol of Home Assistant: its events -> options and sound; stream events -> its events.

Its dataclasses come from the package ``wyoming``; what peers send is checked here, for those believe everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart
from wyoming.audio import AudioFormat as WyomingFormat
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Info

from app import __version__
from app.dialects.openai_names import wanted_language
from app.domain.audio import AudioFormat
from app.domain.errors import EngineFailed, InvalidParameter, InvalidPayload, SttError
from app.domain.languages import word_space
from app.domain.options import Keyterm, LiveOptions
from app.domain.ports import InstalledModel
from app.domain.stream.events import Results, SpeechStarted, StreamEvent
from app.domain.stream.options import StreamOptions
from app.domain.vocabulary import MAX_KEYTERM_TOKENS, estimate_tokens, strongest

COMMAND_PAUSE_S = 1.0
"""Silence that ends a segment. The decode of one begins a second before that, so with the first silence: when the client has
made up its mind that the command is over, the text is there."""

_RATES_HZ = range(4_000, 192_001)
_MAX_CHANNELS = 8
_WIDTH_BYTES = 2

_ATTRIBUTION = Attribution("ggml-org/whisper.cpp", "https://github.com/ggml-org/whisper.cpp")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the sound that follows. ``language`` is Whisper's code, None: detect it."""

    model: str | None = None
    language: str | None = None
    keyterms: tuple[Keyterm, ...] = ()


def parse_request(event: Event, language: str | None) -> Request:
    """A ``transcribe`` event; ``language`` is for those that name none. Raises ``InvalidPayload``, ``UnsupportedModel``."""
    asked = Transcribe.from_event(event)
    names, terms = asked.transcript_names or [], asked.transcript_terms or []
    texts = [asked.name or "", asked.language or ""]
    if not isinstance(names, list) or not isinstance(terms, list):
        raise InvalidPayload("transcript_names and transcript_terms must be lists.")
    if not all(isinstance(text, str) for text in (*texts, *names, *terms)):
        raise InvalidPayload("The transcribe event holds something else than text.")
    own = wanted_language(asked.language)
    return Request(asked.name or None, language if own is None else own, _affordable((*names, *terms)))


def parse_format(event: Event) -> AudioFormat:
    """The samples that an ``audio-start`` or an ``audio-chunk`` announces. Raises ``InvalidParameter``."""
    try:
        kind = AudioStart if AudioStart.is_type(event.type) else AudioChunk
        found: WyomingFormat = kind.from_event(event)
    except KeyError as missing:
        raise InvalidParameter(f"{event.type}: {missing.args[0]} is missing") from None
    if found.width != _WIDTH_BYTES:
        raise InvalidParameter("width: only samples of 2 bytes are understood", parameter="width")
    if found.rate not in _RATES_HZ:
        raise InvalidParameter(f"rate: expected {_RATES_HZ.start} to {_RATES_HZ.stop - 1}", parameter="rate")
    if found.channels not in range(1, _MAX_CHANNELS + 1):
        raise InvalidParameter(f"channels: expected 1 to {_MAX_CHANNELS}", parameter="channels")
    return AudioFormat("linear16", int(found.rate), int(found.channels))


def live_options(asked: Request, audio_format: AudioFormat) -> LiveOptions:
    """The stream that hears one command."""
    return LiveOptions(
        model=asked.model,
        language=asked.language or "en",
        code_switching=asked.language is None,
        keyterms=asked.keyterms,
        audio_format=audio_format,
        stream=StreamOptions(endpointing_s=COMMAND_PAUSE_S, vad_events=True),
    )


def render_info(models: Sequence[InstalledModel], default: str) -> Event:
    """What ``describe`` is answered with. The default model comes first: clients take that one."""
    ordered = sorted(models, key=lambda model: model.info.name != default)
    program = AsrProgram(
        name="whisperapi",
        attribution=_ATTRIBUTION,
        installed=True,
        description="Whisper API: speech-to-text on your own machine",
        version=__version__,
        models=[_model(model) for model in ordered],
        supports_transcript_streaming=True,
    )
    return Info(asr=[program]).event()


def render_error(error: SttError) -> Event:
    """A failure. The connection is closed after it: clients wait for a transcript or for the end."""
    return Error(error.message, error.kind.value).event()


class Transcription:
    """The answer to one command while it grows: each final is a chunk, for what was said never changes."""

    def __init__(self) -> None:
        self._text = ""
        self._language: str | None = None
        self._has_begun = False
        self._heard_speech = False

    def take(self, event: StreamEvent) -> list[Event]:
        """What to send for what the stream says."""
        if isinstance(event, SpeechStarted):
            self._heard_speech = True
        if not isinstance(event, Results) or not event.is_final:
            return []
        self._language = event.language or self._language
        if not event.words:
            return []
        space = word_space(event.language or "en")
        piece = (space if self._text else "") + space.join(word.text for word in event.words)
        self._text += piece
        return [*self._beginning(), TranscriptChunk(piece).event()]

    def end(self) -> list[Event]:
        """The whole text, which clients without chunks read too. Raises ``EngineFailed`` if speech was not decoded."""
        if self._heard_speech and self._language is None:
            raise EngineFailed("The speech could not be transcribed.")
        whole = Transcript(self._text, language=self._language)
        return [*self._beginning(), whole.event(), TranscriptStop().event()]

    def _beginning(self) -> list[Event]:
        if self._has_begun:
            return []
        self._has_begun = True
        return [TranscriptStart(language=self._language).event()]


def _affordable(texts: Sequence[str]) -> tuple[Keyterm, ...]:
    """As many as the decoder takes, the first ones first: a home may have thousands of names."""
    kept, left = [], MAX_KEYTERM_TOKENS
    for text in texts:
        left -= estimate_tokens(text)
        if left < 0:
            break
        kept.append(Keyterm(text))
    return strongest(kept)


def _model(model: InstalledModel) -> AsrModel:
    return AsrModel(
        name=model.info.name,
        attribution=_ATTRIBUTION,
        installed=True,
        description=f"Whisper {model.info.name}",
        version=model.info.version,
        languages=list(model.languages),
    )
