"""Live streams through the Deepgram SDK for Python, version 7, as its users write them (contract 5.3)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import soundfile
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from websockets.exceptions import InvalidStatus

from tests.support.running_server import CLIPS, RunningServer

pytestmark = [
    pytest.mark.compat,
    # the SDK imports names from websockets' past when it is first used
    pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning"),
]

RAW = {"encoding": "linear16", "sample_rate": 16_000}
SENTENCES = ["Good morning John.", "How are you today?", "Please open the red door.", "The window is blue."]


def environment(server: RunningServer) -> DeepgramClientEnvironment:
    return DeepgramClientEnvironment(base=server.url, production=server.ws_url, agent=server.ws_url, agent_rest=server.url)


def pcm(name: str) -> bytes:
    samples, _ = soundfile.read(CLIPS[0] / name, dtype="int16")
    return bytes(samples.astype("<i2").tobytes())


def clip(name: str) -> bytes:
    return next(folder / name for folder in CLIPS if (folder / name).exists()).read_bytes()


class Conversation:
    """What the SDK's listener saw."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.errors: list[Any] = []

    def of(self, kind: str) -> list[Any]:
        return [message for message in self.messages if message.type == kind]

    @property
    def finals(self) -> list[str]:
        texts = [result.channel.alternatives[0].transcript for result in self.of("Results") if result.is_final]
        return [text for text in texts if text]


def converse(server: RunningServer, talk: Callable[[Any], None], **options: Any) -> Conversation:
    """Connect as the SDK's documentation does, let ``talk`` send, and listen to the end."""
    seen = Conversation()
    with httpx.Client(timeout=60) as http:
        client = DeepgramClient(api_key=server.key, environment=environment(server), httpx_client=http)
        with client.listen.v1.connect(**({"model": "nova-3"} | options)) as connection:
            connection.on(EventType.MESSAGE, seen.messages.append)
            connection.on(EventType.ERROR, seen.errors.append)
            reader = threading.Thread(target=connection.start_listening)
            reader.start()
            talk(connection)
            reader.join(60)
            assert not reader.is_alive()
    assert seen.errors == []
    return seen


def sending(audio: bytes, size: int = 3200) -> Callable[[Any], None]:
    def talk(connection: Any) -> None:
        for start in range(0, len(audio), size):
            connection.send_media(audio[start : start + size])
        connection.send_finalize()
        connection.send_close_stream()

    return talk


def test_a_talk_comes_back_sentence_by_sentence(server: RunningServer) -> None:
    options = RAW | {
        "interim_results": True,
        "endpointing": 300,
        "utterance_end_ms": 1000,
        "vad_events": True,
        "punctuate": True,
    }
    seen = converse(server, sending(pcm("sentences-10s.wav")), **options)
    assert seen.finals == SENTENCES
    assert {message.type for message in seen.messages} <= {"Results", "SpeechStarted", "UtteranceEnd", "Metadata"}
    assert len(seen.of("SpeechStarted")) == 4
    for result in seen.of("Results"):
        assert result.metadata.model_info.name == "selftest"
        assert result.channel_index == [0, 1]
        for word in result.channel.alternatives[0].words:
            assert result.start <= word.start <= word.end <= result.start + result.duration + 0.001
    assert sum(result.from_finalize for result in seen.of("Results") if result.is_final) == 1
    [metadata] = seen.of("Metadata")
    assert metadata.duration == pytest.approx(len(pcm("sentences-10s.wav")) / 32_000, abs=0.001)
    assert metadata.channels == 1
    assert seen.messages[-1] is metadata


def test_without_options_it_is_lower_case_and_final_only(server: RunningServer) -> None:
    seen = converse(server, sending(pcm("hello-world.wav")), **RAW)
    assert seen.finals == ["hello world"]
    assert all(result.is_final for result in seen.of("Results"))


def test_a_container_needs_no_encoding(server: RunningServer) -> None:
    seen = converse(server, sending(clip("hello-world.opus"), 500), smart_format=True)
    assert seen.finals == ["Hello world."]


def test_a_telephone_call(server: RunningServer) -> None:
    call = clip("telephone-8k-mulaw.wav")
    samples = call[call.index(b"data") + 8 :]
    seen = converse(server, sending(samples, 160), encoding="mulaw", sample_rate=8000, endpointing=500)
    assert " ".join(seen.finals) == "hello world good morning call me at two five nine"


def test_two_speakers_on_two_channels(server: RunningServer) -> None:
    audio = clip("stereo-one-speaker-per-channel.flac")
    seen = converse(server, sending(audio, 4000), multichannel=True, punctuate=True, endpointing=1000)
    by_channel: dict[int, list[str]] = {0: [], 1: []}
    for result in seen.of("Results"):
        text = result.channel.alternatives[0].transcript
        if text:
            by_channel[result.channel_index[0]].append(text)
    assert (" ".join(by_channel[0]), " ".join(by_channel[1])) == ("Where is John? Thank you.", "John is in Paris.")


def test_the_language_of_each_word_with_multi(server: RunningServer) -> None:
    seen = converse(server, sending(pcm("spanish.wav")), language="multi", punctuate=True, **RAW)
    assert " ".join(seen.finals) == "Buenos días. Abre la puerta roja."
    spoken = [result for result in seen.of("Results") if result.channel.alternatives[0].words]
    assert all(result.channel.alternatives[0].languages == ["es"] for result in spoken)


def test_keep_alive_and_finalize_in_mid_stream(server: RunningServer) -> None:
    audio = pcm("hello-world.wav")

    def talk(connection: Any) -> None:
        connection.send_keep_alive()
        connection.send_media(audio)
        connection.send_finalize()
        connection.send_keep_alive()
        connection.send_media(audio)
        connection.send_close_stream()

    seen = converse(server, talk, punctuate=True, **RAW)
    assert seen.finals == ["Hello world.", "Hello world."]
    asked = [result for result in seen.of("Results") if result.from_finalize]
    assert [result.start + result.duration for result in asked] == [pytest.approx(len(audio) / 32_000, abs=0.001)]


def test_labels_come_back(server: RunningServer) -> None:
    seen = converse(server, sending(pcm("hello-world.wav")), extra="order:17", tag="shop", **RAW)
    assert seen.of("Results")[0].metadata.extra == {"order": "17"}


def test_the_async_client_works_too(server: RunningServer) -> None:
    audio = pcm("sentences-10s.wav")

    async def talk() -> Conversation:
        seen = Conversation()
        async with httpx.AsyncClient(timeout=60) as http:
            client = AsyncDeepgramClient(api_key=server.key, environment=environment(server), httpx_client=http)
            async with client.listen.v1.connect(model="nova-3", punctuate="true", endpointing="300", **RAW) as connection:
                connection.on(EventType.MESSAGE, seen.messages.append)
                connection.on(EventType.ERROR, seen.errors.append)
                listening = asyncio.ensure_future(connection.start_listening())
                for start in range(0, len(audio), 3200):
                    await connection.send_media(audio[start : start + 3200])
                await connection.send_close_stream()
                await asyncio.wait_for(listening, 60)
        return seen

    seen = asyncio.run(talk())
    assert seen.errors == []
    assert seen.finals == SENTENCES


def test_an_access_token_goes_as_bearer(server: RunningServer) -> None:
    with httpx.Client(timeout=60) as http:
        client = DeepgramClient(access_token=server.key, environment=environment(server), httpx_client=http)
        with client.listen.v1.connect(model="nova-3", **RAW) as connection:
            connection.send_close_stream()
            assert connection.recv().type == "Metadata"


@pytest.mark.parametrize(
    ("key", "options", "status"),
    [("0" * 40, RAW, 401), (None, {"encoding": "linear16"}, 400), (None, RAW | {"model": "no-such-model"}, 400)],
)
def test_a_refused_handshake_is_an_error_with_its_status(
    server: RunningServer, key: str | None, options: dict[str, Any], status: int
) -> None:
    with httpx.Client(timeout=60) as http:
        client = DeepgramClient(api_key=key or server.key, environment=environment(server), httpx_client=http)
        # which of the two it raises depends on the release of websockets that the SDK finds (contract 3.8)
        with (
            pytest.raises((ApiError, InvalidStatus)) as refused,
            client.listen.v1.connect(**({"model": "nova-3"} | options)),
        ):
            pass
    error = refused.value
    assert (error.status_code if isinstance(error, ApiError) else error.response.status_code) == status
