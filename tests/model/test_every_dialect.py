"""One transcript, every dialect: the same clip has the same words whichever client asks for it."""

from __future__ import annotations

import asyncio
import base64
import json
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from wyoming.asr import Transcribe
from wyoming.audio import wav_to_chunks
from wyoming.client import AsyncClient

from tests.support.running_server import RunningServer, running_server
from tests.support.wyoming_server import running_wyoming

pytestmark = pytest.mark.model

AUDIO = Path(__file__).parents[1] / "audio"
CLIPS = {
    "sentences-10s.wav": ("en", "Good morning John. How are you today? Please open the red door. The window is blue."),
    "french.wav": ("fr", "Bonjour le monde. Ferme la fenêtre bleue."),
}
PIECE_BYTES = 6400
"""0.2 s at 16 kHz."""

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Clip:
    """A clip, the language it is in, and the server that is asked about it."""

    server: RunningServer
    wyoming: str
    path: Path
    language: str

    @property
    def whole(self) -> bytes:
        return self.path.read_bytes()

    @property
    def pieces(self) -> list[bytes]:
        with wave.open(str(self.path)) as file:
            assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (16_000, 2, 1)
            samples = file.readframes(file.getnframes())
        return [samples[at : at + PIECE_BYTES] for at in range(0, len(samples), PIECE_BYTES)]

    def post(self, path: str, **given: Any) -> httpx.Response:
        answer = httpx.post(
            self.server.url + path, headers=self.server.headers, timeout=PATIENCE_S, trust_env=False, **given
        )
        assert answer.status_code == 200, answer.text
        return answer

    def connect(self, path: str) -> ClientConnection:
        return connect(self.server.ws_url + path, additional_headers=self.server.headers, proxy=None)

    def messages(self, connection: ClientConnection) -> list[dict[str, Any]]:
        """Everything up to the end of the connection."""
        return [json.loads(message) for message in connection]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str]]:
    folder = tmp_path_factory.mktemp
    with running_server(folder("server"), WORKERS="2", THREADS="1") as server, running_wyoming(folder("wyoming")) as uri:
        yield server, uri


def deepgram(clip: Clip) -> str:
    answer = clip.post(f"/v1/listen?punctuate=true&filler_words=true&language={clip.language}", content=clip.whole)
    return str(answer.json()["results"]["channels"][0]["alternatives"][0]["transcript"])


def deepgram_live(clip: Clip) -> str:
    query = f"encoding=linear16&sample_rate=16000&punctuate=true&filler_words=true&language={clip.language}"
    with clip.connect(f"/v1/listen?{query}") as connection:
        for piece in clip.pieces:
            connection.send(piece)
        connection.send('{"type":"CloseStream"}')
        results = [message for message in clip.messages(connection) if message["type"] == "Results"]
    return joined(result["channel"]["alternatives"][0]["transcript"] for result in results)


def openai(clip: Clip) -> str:
    data = {"model": "whisper-1", "language": clip.language}
    return str(clip.post("/v1/audio/transcriptions", files={"file": clip.whole}, data=data).json()["text"])


def openai_events(clip: Clip) -> str:
    data = {"model": "gpt-4o-transcribe", "language": clip.language, "stream": "true"}
    body = clip.post("/v1/audio/transcriptions", files={"file": clip.whole}, data=data).text
    lines = (line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: {"))
    return "".join(event["delta"] for event in map(json.loads, lines) if event["type"] == "transcript.text.delta")


def realtime(clip: Clip) -> str:
    heard = {
        "format": {"type": "audio/pcm", "rate": 16_000},
        "transcription": {"model": "whisper-1", "language": clip.language},
        "turn_detection": None,
    }
    with clip.connect("/v1/realtime?intent=transcription") as connection:
        session = {"type": "transcription", "audio": {"input": heard}}
        connection.send(json.dumps({"type": "session.update", "session": session}))
        for piece in clip.pieces:
            sound = base64.b64encode(piece).decode()
            connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": sound}))
        connection.send('{"type":"input_audio_buffer.commit"}')
        while (event := json.loads(connection.recv(PATIENCE_S)))["type"].rpartition(".")[2] not in ("completed", "error"):
            pass
    return str(event["transcript"])


def diction(clip: Clip) -> str:
    with clip.connect(f"/v1/audio/stream?language={clip.language}") as connection:
        for piece in clip.pieces:
            connection.send(piece)
        connection.send('{"action":"done"}')
        [answer] = clip.messages(connection)
    return str(answer["text"])


def plain(clip: Clip) -> str:
    return str(clip.post("/transcribe", files={"file": clip.whole}, data={"language": clip.language}).json()["text"])


def plain_live(clip: Clip) -> str:
    with clip.connect(f"/ws/transcribe?language={clip.language}") as connection:
        for piece in clip.pieces:
            connection.send(piece)
        connection.send('{"action":"stop"}')
        return joined(message["text"] for message in clip.messages(connection) if message["is_final"])


def asr_webservice(clip: Clip) -> str:
    answer = clip.post(f"/asr?output=txt&language={clip.language}", files={"audio_file": clip.whole})
    return joined(answer.text.splitlines())


def asr_webservice_samples(clip: Clip) -> str:
    samples = b"".join(clip.pieces)
    query = f"/asr?output=json&encode=false&language={clip.language}"
    return str(clip.post(query, files={"audio_file": samples}).json()["text"]).strip()


def wyoming(clip: Clip) -> str:
    async def ask() -> str:
        async with AsyncClient.from_uri(clip.wyoming) as client:
            await client.write_event(Transcribe(language=clip.language).event())
            with wave.open(str(clip.path)) as file:
                for part in wav_to_chunks(file, 1024, start_event=True, stop_event=True):
                    await client.write_event(part.event())
            while (event := await client.read_event()) is not None:
                if event.type == "transcript":
                    return str(event.data["text"])
        raise AssertionError("the connection ended without a transcript")

    return asyncio.run(asyncio.wait_for(ask(), PATIENCE_S))


def joined(texts: Any) -> str:
    return " ".join(filter(None, texts))


DIALECTS: tuple[Callable[[Clip], str], ...] = (
    deepgram,
    deepgram_live,
    openai,
    openai_events,
    realtime,
    diction,
    plain,
    plain_live,
    asr_webservice,
    asr_webservice_samples,
    wyoming,
)


@pytest.mark.parametrize("name", CLIPS)
def test_the_same_clip_has_the_same_words_in_every_dialect(addresses: tuple[RunningServer, str], name: str) -> None:
    language, text = CLIPS[name]
    clip = Clip(*addresses, AUDIO / name, language)
    assert {dialect.__name__: dialect(clip) for dialect in DIALECTS} == {dialect.__name__: text for dialect in DIALECTS}
