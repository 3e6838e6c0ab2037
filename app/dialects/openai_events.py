"""A transcript as it comes, in OpenAI's server-sent events: deltas, speakers' segments, and the whole at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from app.dialects.openai_errors import error_object
from app.dialects.openai_options import SpeechRequest
from app.dialects.openai_rest import (
    languages,
    names_languages,
    render_logprobs,
    speaker_segments,
    usage,
    whole_text,
)
from app.domain.errors import SttError
from app.domain.languages import word_space
from app.domain.transcript import Channel, Transcript

Json = dict[str, Any]


class EventRenderer:
    """The events of one answer. All deltas together are the text of the last event."""

    def __init__(self, asked: SpeechRequest) -> None:
        self._asked = asked
        self._has_begun = False

    def heard(self, piece: Channel) -> Iterator[bytes]:
        """A piece of the text: one delta per segment."""
        for segment in piece.segments:
            space = word_space(piece.language) if self._has_begun else ""
            self._has_begun = True
            event: Json = {"type": "transcript.text.delta", "delta": space + segment.text}
            if self._asked.logprobs:
                event["logprobs"] = render_logprobs([segment])
            yield _event(event)

    def done(self, transcript: Transcript) -> Iterator[bytes]:
        """Who said what, where that was asked for, and the whole text."""
        if self._asked.response_format == "diarized_json":
            yield from map(_event, speaker_segments(transcript))
        channel = transcript.channels[0]
        event: Json = {"type": "transcript.text.done", "text": whole_text(transcript)}
        if self._asked.logprobs:
            event["logprobs"] = render_logprobs(channel.segments)
        if names_languages(self._asked):
            event["languages"] = languages(channel)
        yield _event(event | {"usage": usage(transcript, self._asked, tokens=True)})


def render_failure(error: SttError) -> bytes:
    """What ends a stream that had begun when the work failed; the SDKs raise it."""
    return b"event: error\ndata: " + orjson.dumps({"error": error_object(error)}) + b"\n\n"


def _event(event: Json) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"
