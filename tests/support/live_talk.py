"""One live connection through the test client, spoken in a line: send these, read everything to the close."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketTestSession

RAW = "encoding=linear16&sample_rate=16000"
KEEP_ALIVE = '{"type":"KeepAlive"}'
FINALIZE = '{"type":"Finalize"}'
CLOSE = '{"type":"CloseStream"}'

Sent = bytes | str
Json = dict[str, Any]


def tone(seconds: float, rate: int = 16_000, channels: int = 1) -> bytes:
    """A tone as interleaved linear16; what scripted engines hear does not depend on it."""
    wave = np.round(8000 * np.sin(np.arange(round(seconds * rate)) / 7)).astype("<i2")
    return np.repeat(wave, channels).tobytes()


@dataclass
class Talk:
    """What came back: messages in order, and how the connection was closed."""

    messages: list[Json] = field(default_factory=list)
    code: int | None = None
    reason: str = ""

    def of(self, kind: str) -> list[Json]:
        return [message for message in self.messages if message["type"] == kind]

    @property
    def kinds(self) -> list[str]:
        return [message["type"] for message in self.messages]

    @property
    def finals(self) -> list[Json]:
        return [message for message in self.of("Results") if message["is_final"]]

    @property
    def text(self) -> str:
        """The words of all finals of all channels."""
        return " ".join(filter(None, (transcript(final) for final in self.finals)))

    @property
    def metadata(self) -> Json:
        [message] = self.of("Metadata")
        return message


def transcript(result: Json) -> str:
    """The text of one Results message."""
    [alternative] = result["channel"]["alternatives"]
    return str(alternative["transcript"])


def send(socket: WebSocketTestSession, *sent: Sent) -> None:
    """Text for text messages, bytes for binary ones."""
    for item in sent:
        if isinstance(item, bytes):
            socket.send_bytes(item)
        else:
            socket.send_text(item)


def read_to_the_end(socket: WebSocketTestSession) -> Talk:
    """Everything that still comes, the close included."""
    talk = Talk()
    while True:
        message = socket.receive()
        if message["type"] == "websocket.close":
            talk.code, talk.reason = message["code"], message["reason"]
            return talk
        talk.messages.append(json.loads(message["text"]))


def converse(client: TestClient, query: str, sent: Iterable[Sent], **given: Any) -> Talk:
    """Connect, send all of it, read to the end."""
    with client.websocket_connect(f"/v1/listen?{query}", **given) as socket:
        send(socket, *sent)
        return read_to_the_end(socket)


def refusal(client: TestClient, path: str, **given: Any) -> WebSocketDenialResponse:
    """The answer of a handshake that is not accepted."""
    try:
        with client.websocket_connect(path, **given):
            raise AssertionError("the handshake was accepted")
    except WebSocketDenialResponse as answer:
        return answer
