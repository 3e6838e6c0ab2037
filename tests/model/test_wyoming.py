"""``whisperapi wyoming`` as Home Assistant meets it: its own process, the real engine, the package's own client."""

from __future__ import annotations

import asyncio
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import wav_to_chunks
from wyoming.client import AsyncClient
from wyoming.info import Describe, Info

from tests.support.wyoming_server import running_wyoming

pytestmark = pytest.mark.model

AUDIO = Path(__file__).parents[1] / "audio"
SENTENCES = "Good morning John. How are you today? Please open the red door. The window is blue."


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_wyoming(tmp_path_factory.mktemp("wyoming")) as address:
        yield address


async def heard(uri: str, name: str, language: str | None = None) -> Transcript:
    async with AsyncClient.from_uri(uri) as client:
        await client.write_event(Transcribe(language=language).event())
        with wave.open(str(AUDIO / name)) as file:
            for part in wav_to_chunks(file, 1024, start_event=True, stop_event=True):
                await client.write_event(part.event())
        while (event := await client.read_event()) is not None:
            if Transcript.is_type(event.type):
                return Transcript.from_event(event)
    raise AssertionError("the connection ended without a transcript")


def test_speech_is_transcribed(uri: str) -> None:
    assert asyncio.run(heard(uri, "sentences-10s.wav", "en")).text == SENTENCES


def test_the_language_is_detected_where_none_is_named(uri: str) -> None:
    transcript = asyncio.run(heard(uri, "spanish.wav"))
    assert transcript.language == "es"
    assert transcript.text.startswith("Buenos")


def test_silence_and_noise_say_nothing(uri: str) -> None:
    async def both() -> list[Transcript]:
        return list(await asyncio.gather(heard(uri, "silence-5s.wav"), heard(uri, "noise-5s.wav")))

    assert [transcript.text for transcript in asyncio.run(both())] == ["", ""]


def test_two_who_speak_at_once_get_two_answers(uri: str) -> None:
    async def both() -> list[Transcript]:
        return list(await asyncio.gather(heard(uri, "sentences-10s.wav", "en"), heard(uri, "hello-world.wav", "en")))

    assert [transcript.text for transcript in asyncio.run(both())] == [SENTENCES, "Hello world."]


def test_the_models_are_described(uri: str) -> None:
    async def ask() -> Info:
        async with AsyncClient.from_uri(uri) as client:
            await client.write_event(Describe().event())
            event = await client.read_event()
            assert event is not None
            return Info.from_event(event)

    [program] = asyncio.run(ask()).asr
    assert program.models[0].languages == ["en", "es", "fr", "de"]


def test_an_address_that_is_taken_is_told(uri: str, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure, running_wyoming(tmp_path, uri):
        pass
    assert failure.value.returncode == 1
    assert "Cannot listen on" in failure.value.output
    assert "Traceback" not in failure.value.output
