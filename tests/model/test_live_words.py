"""Live streams with the real engine and the real detector: the same words however the audio comes."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import soundfile

from app.audio.decode import Decoder
from app.audio.live import LiveDecoders
from app.audio.vad import load_vad
from app.dialects.deepgram_live import parse_live
from app.dialects.deepgram_options import parse_listen
from app.domain.audio import AudioLimits
from app.domain.ports import EnginePool, InstalledModel
from app.domain.stream.events import CloseStream, Control, Finalize, Metadata, UtteranceEnd
from app.engines.pool import ProcessPool
from app.services.catalog import Catalog
from app.services.live import LiveStreams, StreamLimits
from app.services.residency import ResidentModels
from app.services.transcribe import DecodingDefaults, Transcriber
from tests.support.live_media import Samples, cut, recorder_webm
from tests.support.live_shell import ListLink, Step

pytestmark = pytest.mark.model

AUDIO = Path(__file__).parents[1] / "audio"
RAW = "encoding=linear16&sample_rate=16000"
SENTENCES = "Good morning John. How are you today? Please open the red door. The window is blue."
SENTENCES_HEARD = ["Good morning John.", "How are you today?", "Please open the red door.", "The window is blue."]
LIMITS = AudioLimits(600)

T = TypeVar("T")


def pcm(name: str) -> bytes:
    """A clip's samples as interleaved linear16."""
    samples, _ = soundfile.read(AUDIO / name, dtype="int16", always_2d=True)
    return bytes(samples.astype("<i2").tobytes())


def at_48k(name: str, channels: int) -> Samples:
    """A mono clip at 48 kHz, shape ``(channels, n)``."""
    import soxr

    samples, rate = soundfile.read(AUDIO / name, dtype="float32")
    return np.ascontiguousarray(np.tile(soxr.resample(samples, rate, 48_000), (channels, 1)), np.float32)


@dataclass
class Server:
    """The services behind the routes."""

    live: LiveStreams
    transcriber: Transcriber
    pool: ProcessPool

    async def stream(self, query: str, *sent: bytes | Control | Step) -> ListLink:
        """One live client that sends this and reads to the end."""
        link = ListLink(*sent)
        async with self.live.admit(parse_live(query.encode(), 8).options) as stream:
            await stream.run(link)
        return link

    async def recording(self, name: str) -> str:
        async with self.transcriber.admit(parse_listen(b"punctuate=true", 8).options) as job:
            transcript = await job.run(io.BytesIO((AUDIO / name).read_bytes()))
        return " ".join(word.text for channel in transcript.channels for word in channel.words)


def serve(scenario: Callable[[Server], Awaitable[T]], workers: int = 2) -> T:
    async def whole() -> T:
        async def start(model: InstalledModel) -> EnginePool:
            return await ProcessPool.start(model.path, workers=workers, threads=1)

        catalog, models, vad = Catalog.open(AUDIO / "none", "selftest"), ResidentModels(start), load_vad()
        try:
            pool = await models.pool(catalog.default())
            assert isinstance(pool, ProcessPool)
            defaults = DecodingDefaults()
            live = LiveStreams(LiveDecoders(), vad, catalog, models, LIMITS, StreamLimits(20, 10.0), defaults)
            transcriber = Transcriber(Decoder(), vad, catalog, models, LIMITS, 60.0, defaults)
            return await asyncio.wait_for(scenario(Server(live, transcriber, pool)), 100)
        finally:
            await models.close()
            close = getattr(vad, "close", None)
            if close is not None:
                close()

    return asyncio.run(whole())


def said(link: ListLink, channel_index: int = 0) -> str:
    return " ".join(word.text for final in link.finals if final.channel_index == channel_index for word in final.words)


def test_the_same_words_at_once_in_odd_pieces_at_speed_and_as_a_recording() -> None:
    audio = pcm("sentences-10s.wav")
    paced = [step for piece in cut(audio, 3200) for step in (piece, lambda: asyncio.sleep(0.1 / 20))]

    async def scenario(server: Server) -> None:
        query = f"{RAW}&endpointing=300&interim_results=true"
        assert await server.recording("sentences-10s.wav") == SENTENCES
        finals = []
        for sent in ([audio], cut(audio, 997), cut(audio, 3201), paced):
            link = await server.stream(query, *sent, CloseStream())
            assert said(link) == SENTENCES
            assert link.closed == (1000, "")
            assert link.received[-1] == Metadata(len(audio) // 2, 1)
            finals.append(link.finals)
        assert [" ".join(word.text for word in final.words) for final in finals[0] if final.words] == SENTENCES_HEARD
        assert finals[1:] == [finals[0]] * 3

    serve(scenario)


def test_the_same_words_alone_and_beside_seven_others() -> None:
    audio = pcm("dialogue-two-speakers.wav")

    async def scenario(server: Server) -> None:
        query = f"{RAW}&interim_results=true&utterance_end_ms=1000"
        alone = await server.stream(query, *cut(audio, 3200), CloseStream())
        together = await asyncio.gather(*(server.stream(query, *cut(audio, 3200), CloseStream()) for _ in range(8)))
        assert said(alone).startswith("Hello Mary how are you?")
        assert [link.finals for link in together] == [alone.finals] * 8

    serve(scenario)


@pytest.mark.parametrize(
    ("clip", "query", "expected"),
    [
        ("telephone-8k-mulaw.wav", "", "Hello world good morning. Call me at two five nine."),
        ("spanish.wav", "language=es", "Buenos días. Abre la puerta roja."),
        ("late-start.wav", "", "Please call me today."),
    ],
)
def test_a_container_says_itself_what_it_is(clip: str, query: str, expected: str) -> None:
    data = (AUDIO / clip).read_bytes()

    async def scenario(server: Server) -> None:
        assert said(await server.stream(query, *cut(data, 2000), CloseStream())) == expected

    serve(scenario)


def test_a_telephones_bytes_without_any_header() -> None:
    mulaw = (AUDIO / "telephone-8k-mulaw.wav").read_bytes()
    samples = mulaw[mulaw.index(b"data") + 8 :]

    async def scenario(server: Server) -> None:
        link = await server.stream("encoding=mulaw&sample_rate=8000", *cut(samples, 160), CloseStream())
        assert said(link) == "Hello world good morning. Call me at two five nine."

    serve(scenario)


def test_two_channels_are_mixed_or_told_apart() -> None:
    audio = pcm("stereo-one-speaker-per-channel.wav")

    async def scenario(server: Server) -> None:
        query = f"{RAW}&channels=2"
        apart = await server.stream(f"{query}&multichannel=true", *cut(audio, 6400), CloseStream())
        mixed = await server.stream(query, *cut(audio, 6400), CloseStream())
        assert (said(apart, 0), said(apart, 1)) == ("Where is John? Thank you.", "John is in Paris.")
        assert said(mixed) == "Where is John? John is in Paris. Thank you."

    serve(scenario)


def test_a_browsers_recording_and_a_studios_stereo_have_the_same_words() -> None:
    stereo = at_48k("hello-world.wav", 2)
    webm = recorder_webm(at_48k("hello-world.wav", 1))

    async def scenario(server: Server) -> None:
        studio = (stereo.T * 32_767).astype("<i2").tobytes()
        query = "encoding=linear16&sample_rate=48000&channels=2"
        assert said(await server.stream(query, *cut(studio, 19_200), CloseStream())) == "Hello world."
        assert said(await server.stream("", *cut(webm, len(webm) // 6), CloseStream())) == "Hello world."

    serve(scenario)


def test_the_language_is_detected_when_it_may_change() -> None:
    audio = pcm("spanish.wav")

    async def scenario(server: Server) -> None:
        link = await server.stream(f"{RAW}&language=multi", *cut(audio, 3200), CloseStream())
        assert said(link) == "Buenos días. Abre la puerta roja."
        assert {final.language for final in link.finals if final.words} == {"es"}

    serve(scenario)


def test_silence_and_noise_have_no_words_and_cost_no_decode() -> None:
    audio = pcm("silence-5s.wav") + pcm("noise-5s.wav")

    async def scenario(server: Server) -> None:
        link = await server.stream(f"{RAW}&interim_results=true", *cut(audio * 3, 3200), CloseStream())
        assert said(link) == ""
        assert len(link.finals) >= 6
        assert server.pool.stats().done == 0

    serve(scenario)


def test_an_utterance_ends_once_after_its_final() -> None:
    audio = pcm("hello-world.wav") + bytes(2 * 16_000 * 2)

    async def scenario(server: Server) -> None:
        link = await server.stream(f"{RAW}&utterance_end_ms=1000", *cut(audio, 3200), CloseStream())
        [ended] = [event for event in link.received if isinstance(event, UtteranceEnd)]
        assert ended.last_word_end_s == link.finals[0].words[-1].end_s
        assert link.received.index(ended) > link.received.index(link.finals[0])

    serve(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="a worker is killed by its process id")
def test_a_worker_that_is_killed_in_mid_utterance_costs_no_word() -> None:
    audio = pcm("sentences-10s.wav")

    async def scenario(server: Server) -> None:
        async def kill_the_workers() -> None:
            for pid in server.pool.worker_pids():  # so that the decode of the final meets a dead one whichever it gets
                os.kill(pid, signal.SIGKILL)

        query = f"{RAW}&endpointing=false"
        link = await server.stream(query, *cut(audio, 32_000), Finalize(), kill_the_workers, CloseStream())
        assert said(link) == SENTENCES
        assert link.closed == (1000, "")
        assert server.pool.stats().restarts >= 1

    serve(scenario, workers=1)


def test_a_client_that_vanishes_leaves_idle_workers() -> None:
    audio = pcm("sentences-10s.wav")

    async def scenario(server: Server) -> None:
        link = ListLink(*cut(audio, 32_000), Finalize())

        async def hang_up() -> None:
            link.hang_up()

        link.items.append(hang_up)
        async with server.live.admit(parse_live(RAW.encode(), 8).options) as stream:
            await stream.run(link)
        assert server.live.active == 0
        assert said(await server.stream(RAW, pcm("hello-world.wav"), CloseStream())) == "Hello world."

    serve(scenario, workers=1)
