"""A Realtime session through the test client: events by their names, sound as it is put into them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.testclient import TestClient, WebSocketTestSession

from tests.support.live_talk import tone

Json = dict[str, Any]

PATH = "/v1/realtime?intent=transcription"
BETA = {"OpenAI-Beta": "realtime=v1"}
TRANSCRIPTION = "conversation.item.input_audio_transcription"
COMPLETED = f"{TRANSCRIPTION}.completed"
DELTA = f"{TRANSCRIPTION}.delta"
FAILED = f"{TRANSCRIPTION}.failed"
RATE = 24_000


def settings(**heard: Any) -> Json:
    """A session update of the general shape: what stands below ``audio.input``."""
    return {"type": "session.update", "session": {"type": "transcription", "audio": {"input": heard}}}


def append(sound: bytes, **more: Any) -> Json:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(sound).decode(), **more}


def speech(seconds: float, rate: int = RATE) -> list[Json]:
    """A tone in events of a tenth of a second."""
    return [append(tone(0.1, rate))] * round(seconds * 10)


COMMIT = {"type": "input_audio_buffer.commit"}
CLEAR = {"type": "input_audio_buffer.clear"}


class Session:
    """One connection. ``seen`` are all events that came, in order."""

    def __init__(self, socket: WebSocketTestSession) -> None:
        self.socket = socket
        self.seen: list[Json] = []

    def send(self, *events: Json) -> None:
        for event in events:
            self.socket.send_text(json.dumps(event))

    def next(self) -> Json:
        message = self.socket.receive()
        assert message["type"] == "websocket.send", message
        event: Json = json.loads(message["text"])
        self.seen.append(event)
        return event

    def until(self, kind: str) -> Json:
        """Read up to the next event of this kind."""
        while True:
            event = self.next()
            if event["type"] == kind:
                return event
            assert event["type"] != "error", event

    def closed(self) -> int:
        """Read up to the close."""
        while True:
            message = self.socket.receive()
            if message["type"] == "websocket.close":
                return int(message["code"])
            self.seen.append(json.loads(message["text"]))

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.seen]

    def of(self, kind: str) -> list[Json]:
        return [event for event in self.seen if event["type"] == kind]

    @property
    def transcripts(self) -> list[str]:
        return [event["transcript"] for event in self.of(COMPLETED)]

    def told(self, item_id: str) -> str:
        """The deltas of an item, put together."""
        return "".join(event["delta"] for event in self.of(DELTA) if event["item_id"] == item_id)


@contextmanager
def session(client: TestClient, *first: Json, path: str = PATH, **given: Any) -> Iterator[Session]:
    """A session, opened and, if so asked, updated."""
    with client.websocket_connect(path, **given) as socket:
        opened = Session(socket)
        opened.next()
        for event in first:
            opened.send(event)
            answer = opened.next()
            assert answer["type"].endswith("updated"), answer
        yield opened
