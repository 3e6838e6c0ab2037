"""``WS /v1/audio/stream`` of the Diction keyboard: sound in, ``{"action": "done"}``, one ``{"text": ...}`` out.

The keyboard's gateway takes raw samples or Ogg with Opus; the codes it closes with are in ``CloseCode``.
"""

from __future__ import annotations

from enum import IntEnum
from urllib.parse import parse_qsl

import orjson

from app.dialects.openai_names import wanted_language, wanted_model
from app.domain.audio import SAMPLE_RATE, AudioFormat
from app.domain.errors import InvalidParameter, InvalidRequest
from app.domain.languages import word_space
from app.domain.options import LiveOptions
from app.domain.stream.events import Results, SpeechStarted, StreamEvent
from app.domain.stream.options import StreamOptions

DICTATION_PAUSE_S = 1.0
"""Silence that ends a segment: who dictates stops to think. The decode of a segment begins a second before that, so nobody
waits for it."""

MAX_PROMPT_CHARACTERS = 1000
"""Whisper reads the last 224 tokens of a prompt; splitting more into tokens would only cost time."""

MAX_TEXT_CHARACTERS = 64 * 1024
"""Longest text message that is read: to parse megabytes would hold up every other client."""

_MAX_FIELDS = 100
_FORMATS = {
    "pcm": AudioFormat("linear16", SAMPLE_RATE),
    "opus": AudioFormat("ogg-opus", 0),
}


class CloseCode(IntEnum):
    """How the connection ends, in the numbers that the keyboard knows."""

    DONE = 1000
    SHUTDOWN = 1001
    FAILED = 4002
    NO_AUDIO = 4004


def parse_handshake(raw_query: bytes) -> LiveOptions:
    """Read ``language``, ``codec``, ``model`` and ``prompt``; other names (``enhance``) have no effect here.

    Raises ``InvalidParameter``, ``InvalidRequest`` or ``UnsupportedModel``.
    """
    try:
        query = dict(parse_qsl(raw_query.decode("latin-1"), max_num_fields=_MAX_FIELDS))
    except ValueError as error:
        raise InvalidRequest from error
    codec = query.get("codec", "pcm").lower()
    if codec not in _FORMATS:
        raise InvalidParameter(f"codec: expected one of {', '.join(sorted(_FORMATS))}", parameter="codec")
    prompt = query.get("prompt", "")
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise InvalidParameter(f"prompt: at most {MAX_PROMPT_CHARACTERS} characters are accepted", parameter="prompt")
    language = wanted_language(query.get("language"))
    return LiveOptions(
        model=wanted_model(query.get("model")),
        language=language or "en",
        code_switching=language is None,
        prompt=prompt,
        audio_format=_FORMATS[codec],
        stream=StreamOptions(endpointing_s=DICTATION_PAUSE_S, vad_events=True),
    )


def is_done(text: str) -> bool:
    """Whether a text message says that everything was sent. All others are about what a gateway does with the text."""
    try:
        message = orjson.loads(text) if len(text) <= MAX_TEXT_CHARACTERS else None
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("action") == "done"


class Dictation:
    """What was said so far: the words of all finals, as the model wrote them."""

    def __init__(self) -> None:
        self._text = ""
        self._heard_speech = False
        self._was_decoded = False

    def take(self, event: StreamEvent) -> None:
        """Take what the stream says, in order."""
        if isinstance(event, SpeechStarted):
            self._heard_speech = True
        elif isinstance(event, Results) and event.is_final:
            self._was_decoded = self._was_decoded or event.language is not None
            space = word_space(event.language or "en")
            said = space.join(word.text for word in event.words)
            self._text += (space if self._text and said else "") + said

    @property
    def has_failed(self) -> bool:
        """Somebody spoke, and no decode came back."""
        return self._heard_speech and not self._was_decoded

    def render(self) -> str:
        """The answer."""
        return orjson.dumps({"text": self._text}).decode()
