"""Realtime transcription sessions through the OpenAI SDK for Python, and every event held to the SDK's own types."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from openai import AsyncOpenAI, OpenAI
from openai.types.beta.realtime import TranscriptionSessionUpdatedEvent
from openai.types.realtime import RealtimeServerEvent, RealtimeTranscriptionSessionCreateResponse
from pydantic import BaseModel, TypeAdapter
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.running_server import CLIPS, RunningServer

pytestmark = pytest.mark.compat

SENTENCES = ["Good morning John.", "How are you today?", "Please open the red door.", "The window is blue."]
TRANSCRIPTION = "conversation.item.input_audio_transcription"
PATIENCE_S = 60.0
SERVER_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def pcm(name: str, rate: int = 24_000) -> bytes:
    samples, from_rate = soundfile.read(CLIPS[0] / name, dtype="float32")
    resampled = soxr.resample(samples, from_rate, rate)
    return bytes((resampled * 32767).astype("<i2").tobytes())


def pieces(sound: bytes, size: int = 4800) -> list[str]:
    return [base64.b64encode(sound[at : at + size]).decode() for at in range(0, len(sound), size)]


SILENCE = b"\0" * 96_000
"""Two seconds at 24 kHz."""


def settings(**heard: Any) -> Any:
    return {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1", "language": "en"}} | heard}}


def client(server: RunningServer) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=server.key, base_url=f"{server.url}/v1")


def talk(server: RunningServer, say: Callable[[Any], Awaitable[None]], until: int, **query: str) -> list[Any]:
    """A session of the SDK: what ``say`` sends, and all events up to the ``until``-th transcript."""

    async def run() -> list[Any]:
        events: list[Any] = []
        async with client(server) as opened:
            asked: Any = query or {"intent": "transcription"}
            async with opened.realtime.connect(extra_query=asked) as connection:
                await say(connection)
                async for event in connection:
                    events.append(event)
                    assert event.type != "error", event
                    if sum(seen.type == f"{TRANSCRIPTION}.completed" for seen in events) == until:
                        return events
        raise AssertionError(f"the connection ended after {[event.type for event in events]}")

    return asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def has_only_known_fields(value: object, where: str = "event") -> None:
    """No field, at any depth, that the SDK's types do not have."""
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{where} has {sorted(value.model_extra or {})}"
        for name in value.model_fields_set:
            has_only_known_fields(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list):
        for item in value:
            has_only_known_fields(item, where)


def of(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event.type == kind]


def test_turns_of_the_server_are_transcribed_in_order(server: RunningServer) -> None:
    async def say(connection: Any) -> None:
        await connection.session.update(session=settings(turn_detection={"type": "server_vad", "silence_duration_ms": 300}))
        for piece in pieces(pcm("sentences-10s.wav") + SILENCE):
            await connection.input_audio_buffer.append(audio=piece)

    events = talk(server, say, until=len(SENTENCES))
    completed = of(events, f"{TRANSCRIPTION}.completed")
    assert [event.transcript for event in completed] == SENTENCES
    committed = of(events, "input_audio_buffer.committed")
    assert [event.item_id for event in committed] == [event.item_id for event in completed]
    assert [event.previous_item_id for event in committed] == [None, *(event.item_id for event in committed[:-1])]
    for event in completed:
        told = "".join(delta.delta for delta in of(events, f"{TRANSCRIPTION}.delta") if delta.item_id == event.item_id)
        assert told == event.transcript
        assert event.usage.type == "duration"
    starts = [event.audio_start_ms for event in of(events, "input_audio_buffer.speech_started")]
    ends = [event.audio_end_ms for event in of(events, "input_audio_buffer.speech_stopped")]
    assert starts == sorted(starts)
    assert all(start < end for start, end in zip(starts, ends, strict=True))


def test_the_client_commits(server: RunningServer) -> None:
    async def say(connection: Any) -> None:
        await connection.session.update(session=settings(turn_detection=None))
        for piece in pieces(pcm("hello-world.wav")):
            await connection.input_audio_buffer.append(audio=piece)
        await connection.input_audio_buffer.clear()
        for piece in pieces(pcm("sentences-10s.wav")):
            await connection.input_audio_buffer.append(audio=piece)
        await connection.input_audio_buffer.commit()

    events = talk(server, say, until=1)
    [completed] = of(events, f"{TRANSCRIPTION}.completed")
    assert completed.transcript == " ".join(SENTENCES)
    assert completed.usage.seconds == pytest.approx(len(pcm("sentences-10s.wav")) / 48_000, abs=0.01)


@pytest.mark.parametrize(("kind", "encoding"), [("audio/pcmu", "ULAW"), ("audio/pcma", "ALAW")])
def test_telephone_sound(server: RunningServer, tmp_path: Path, kind: str, encoding: str) -> None:
    samples = np.frombuffer(pcm("sentences-10s.wav", 8000), "<i2")
    raw = tmp_path / "telephone.raw"
    soundfile.write(raw, samples, 8000, format="RAW", subtype=encoding)

    async def say(connection: Any) -> None:
        await connection.session.update(session=settings(format={"type": kind}, turn_detection=None))
        for piece in pieces(raw.read_bytes(), 800):
            await connection.input_audio_buffer.append(audio=piece)
        await connection.input_audio_buffer.commit()

    [completed] = of(talk(server, say, until=1), f"{TRANSCRIPTION}.completed")
    assert completed.usage.seconds == pytest.approx(len(samples) / 8000, abs=0.01)
    assert "red door" in completed.transcript


# the SDK opens the connection in a way that websockets will not have in some later version
@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
def test_the_synchronous_client(server: RunningServer) -> None:
    with (
        OpenAI(api_key=server.key, base_url=f"{server.url}/v1") as opened,
        opened.realtime.connect(model="gpt-realtime") as connection,
    ):
        assert connection.recv().type == "session.created"
        connection.session.update(session=settings(turn_detection=None))
        assert connection.recv().type == "session.updated"
        for piece in pieces(pcm("hello-world.wav")):
            connection.input_audio_buffer.append(audio=piece)
        connection.input_audio_buffer.commit()
        completed = next(event for event in connection if event.type == f"{TRANSCRIPTION}.completed")
        assert completed.transcript == "Hello world."


def test_a_wrong_key_is_told_before_the_upgrade(server: RunningServer) -> None:
    async def run() -> InvalidStatus:
        async with AsyncOpenAI(api_key="wrong", base_url=f"{server.url}/v1") as opened:
            with pytest.raises(InvalidStatus) as caught:
                await opened.realtime.connect(extra_query={"intent": "transcription"}).enter()
            return caught.value

    response = asyncio.run(run()).response
    assert response.status_code == 401
    assert json.loads(response.body)["error"]["code"] == "invalid_api_key"


def raw_events(server: RunningServer, messages: list[Any], until: str, headers: dict[str, str] | None = None) -> list[Any]:
    """The same without the SDK, which builds its objects from anything: the events as they are sent."""

    async def run() -> list[Any]:
        url = f"{server.ws_url}/v1/realtime?intent=transcription"
        authorization = {"Authorization": f"Bearer {server.key}"} | (headers or {})
        async with connect(url, additional_headers=authorization, proxy=None) as socket:
            for message in messages:
                await socket.send(json.dumps(message))
            events: list[Any] = []
            async for text in socket:
                events.append(json.loads(text))
                if events[-1]["type"] == until:
                    return events
        raise AssertionError("the connection ended")

    return asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def test_every_event_is_what_the_types_say(server: RunningServer) -> None:
    include = {"include": ["item.input_audio_transcription.logprobs"]}
    update = {"type": "session.update", "session": settings(noise_reduction={"type": "near_field"}) | include}
    sound = [{"type": "input_audio_buffer.append", "audio": piece} for piece in pieces(pcm("hello-world.wav") + SILENCE)]
    wrong = {"type": "response.create", "event_id": "mine"}
    clear = {"type": "input_audio_buffer.clear"}
    events = raw_events(server, [update, wrong, clear, *sound], f"{TRANSCRIPTION}.completed")
    assert {event["type"] for event in events} == {
        "session.created", "session.updated", "error", "input_audio_buffer.cleared", "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped", "input_audio_buffer.committed", "conversation.item.added",
        "conversation.item.done", f"{TRANSCRIPTION}.delta", f"{TRANSCRIPTION}.completed",
    }  # fmt: skip
    for event in events:
        if event["type"].startswith("session."):
            # the type of these events is that of a request; the one of an answer has the id as well
            session = RealtimeTranscriptionSessionCreateResponse.model_validate(event["session"], strict=True)
            has_only_known_fields(session, event["type"])
            for name in ("id", "object"):
                del event["session"][name]
        typed = SERVER_EVENTS.validate_python(event, strict=True)
        has_only_known_fields(typed, event["type"])
        required = {name for name, field in type(typed).model_fields.items() if field.is_required()}
        assert required <= set(event)


def test_the_events_of_the_beta_are_what_its_types_say(server: RunningServer) -> None:
    from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent

    beta: TypeAdapter[Any] = TypeAdapter(BetaServerEvent)
    update = {"type": "transcription_session.update", "session": {"input_audio_transcription": {"language": "en"}}}
    sound = [{"type": "input_audio_buffer.append", "audio": piece} for piece in pieces(pcm("hello-world.wav") + SILENCE)]
    events = raw_events(server, [update, *sound], f"{TRANSCRIPTION}.completed", {"OpenAI-Beta": "realtime=v1"})
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["transcription_session.created", "transcription_session.updated"]
    assert "conversation.item.created" in kinds
    assert events[-1]["transcript"] == "Hello world."
    for event in events:
        if event["type"].startswith("transcription_session."):
            known = set(TranscriptionSessionUpdatedEvent.model_fields["session"].annotation.model_fields)  # type: ignore[union-attr]
            shown = set(event["session"])
            assert shown - known == {"id", "object", "type", "input_audio_noise_reduction", "include"}
        else:
            has_only_known_fields(beta.validate_python(event, strict=True), event["type"])
