"""The messages of a Realtime session: what a client's text asks for, and the server's events as objects."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson

from app.dialects.openai_errors import error_object
from app.dialects.openai_realtime_session import Shape
from app.domain.errors import InvalidParameter, InvalidPayload, PayloadTooLarge, SttError
from app.domain.transcript import Word

Json = dict[str, Any]

MAX_APPEND_CHARACTERS = 15 * 1024 * 1024
"""Most of one ``input_audio_buffer.append``, in base64: OpenAI's 15 MiB, and a little below what the server reads as one
message (16 MiB)."""

MAX_PARTS = 10_000
"""Entries of lists and objects in one message. 16 MiB of empty lists hold the interpreter, and so every client, for 1.3 s,
in whichever thread they are read; to count commas and brackets in them takes 15 ms. Base64 has none."""

_ITEM = "conversation.item"
_TRANSCRIPTION = f"{_ITEM}.input_audio_transcription"
_LEAST_PROBABILITY = 1e-10
_SHOWN_CHARACTERS = 80


# ---- in -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Append:
    """Sound, in the format of the session."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """What was sent so far becomes an item."""


@dataclass(frozen=True, slots=True)
class Clear:
    """What was sent and not committed is forgotten."""


@dataclass(frozen=True, slots=True)
class Update:
    """New settings. ``is_beta``: asked for by the name of the beta, which its answer has as well."""

    session: Json
    is_beta: bool


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One message. ``action`` is an error where it cannot be followed; ``event_id`` is the client's own name for it."""

    action: Append | Commit | Clear | Update | SttError
    event_id: str | None = None


def parse_event(text: str) -> ClientEvent:
    """Read a text message; never raises. Costs time in proportion to the sound in it: 15 MiB take 45 ms, 256 KiB 0.6 ms."""
    if sum(map(text.count, ",[{")) > MAX_PARTS:
        return ClientEvent(PayloadTooLarge("The message has too many parts."))
    try:
        event = orjson.loads(text)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        return ClientEvent(InvalidPayload("The message is no JSON object."))
    event_id = event.get("event_id")
    named = event_id[:_SHOWN_CHARACTERS] if isinstance(event_id, str) else None
    try:
        return ClientEvent(_action(event), named)
    except SttError as error:
        return ClientEvent(error, named)


def _action(event: Json) -> Append | Commit | Clear | Update:
    kind = event.get("type")
    if kind == "input_audio_buffer.append":
        return Append(_sound(event.get("audio")))
    if kind == "input_audio_buffer.commit":
        return Commit()
    if kind == "input_audio_buffer.clear":
        return Clear()
    if kind in ("session.update", "transcription_session.update"):
        session = event.get("session")
        if not isinstance(session, dict):
            raise InvalidParameter("An object was expected.", parameter="session")
        return Update(session, is_beta=kind != "session.update")
    shown = repr(kind)[:_SHOWN_CHARACTERS]
    message = f"{shown} is not an event of transcription sessions, the only kind that this server has."
    raise InvalidParameter(message, parameter="type")


def _sound(audio: object) -> bytes:
    if not isinstance(audio, str):
        raise InvalidParameter("Base64 text was expected.", parameter="audio")
    if len(audio) > MAX_APPEND_CHARACTERS:
        raise PayloadTooLarge(f"At most {MAX_APPEND_CHARACTERS} characters are accepted at once.", parameter="audio")
    try:
        return base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidParameter("This is no valid base64.", parameter="audio") from None


# ---- out ------------------------------------------------------------------------------------------------------------


def new_id(prefix: str) -> str:
    """An id that nobody else has, as OpenAI's look."""
    return f"{prefix}_{uuid4().hex[:21]}"


def render(kind: str, **fields: object) -> str:
    """A server event with an id of its own."""
    return orjson.dumps({"type": kind, "event_id": new_id("event"), **fields}).decode()


def render_error(error: SttError, event_id: str | None = None, code: str | None = None) -> str:
    """``event_id`` is that of the client's event that was wrong; ``code`` replaces the usual one of the error's kind."""
    shown = error_object(error) | {"event_id": event_id}
    if code is not None:
        shown["code"] = code
    return render("error", error=shown)


def render_item(item_id: str, previous_id: str | None, shape: Shape) -> list[str]:
    """The events that tell of a new item, complete but for its transcript."""
    item = {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    kinds = ("created",) if shape is Shape.BETA else ("added", "done")
    return [render(f"{_ITEM}.{kind}", previous_item_id=previous_id, item=item) for kind in kinds]


def render_delta(item_id: str, delta: str, logprobs: list[Json] | None) -> str:
    """More of an item's text, to be put behind what was said of it before."""
    return render(f"{_TRANSCRIPTION}.delta", item_id=item_id, content_index=0, delta=delta, logprobs=logprobs)


def render_completed(item_id: str, transcript: str, seconds: float, logprobs: list[Json] | None) -> str:
    """All of an item's text. ``seconds`` of audio in it."""
    usage = {"type": "duration", "seconds": round(seconds, 3)}
    return render(
        f"{_TRANSCRIPTION}.completed",
        item_id=item_id,
        content_index=0,
        transcript=transcript,
        usage=usage,
        logprobs=logprobs,
    )


def render_failed(item_id: str) -> str:
    """An item without a text."""
    error = {
        "type": "server_error",
        "code": "transcription_failed",
        "message": "The audio could not be transcribed.",
        "param": None,
    }
    return render(f"{_TRANSCRIPTION}.failed", item_id=item_id, content_index=0, error=error)


def word_logprobs(words: Iterable[Word], space: str) -> list[Json]:
    """One entry per word: live results keep no tokens. ``space`` stands before each."""
    shown = []
    for word in words:
        token = space + word.text
        logprob = math.log(max(word.confidence, _LEAST_PROBABILITY))
        shown.append({"token": token, "logprob": round(logprob, 6), "bytes": list(token.encode())})
    return shown
