"""The whole Wyoming edge on a scripted engine, spoken to by the package's own client."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient, AsyncTcpClient
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info
from wyoming.ping import Ping

from app.audio.live import LiveDecoders
from app.domain.audio import AudioLimits
from app.domain.errors import EngineFailed, InvalidParameter
from app.domain.ports import EnginePool, InstalledModel, Vad
from app.domain.usage import Method, UsageFilter, UsageRecord
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from app.services.catalog import Catalog
from app.services.live import LiveStreams, StreamLimits
from app.services.residency import ResidentModels
from app.services.transcribe import DecodingDefaults
from app.services.usage_log import UsageLog
from app.wyoming import session
from app.wyoming.server import Address, WyomingServer
from tests.support.live_talk import tone
from tests.support.memory_usage import MemoryUsageStore

START = AudioStart(rate=16_000, width=2, channels=1)
STOP = AudioStop()


def chunk(sound: bytes, **changed: int) -> AudioChunk:
    return AudioChunk(**({"rate": 16_000, "width": 2, "channels": 1} | changed), audio=sound)


@dataclass
class Stage:
    """A server and what is behind it."""

    address: Address
    server: WyomingServer
    live: LiveStreams
    pool: ScriptedPool
    log: UsageLog
    store: MemoryUsageStore

    @property
    def on_record(self) -> list[UsageRecord]:
        return sorted(self.store.page(UsageFilter(), 100), key=lambda record: record.created)

    async def ask(self, *sent: Eventable | Event) -> list[Event]:
        """Send these and read up to the end of a transcript, or to the end of the connection."""
        async with self.client() as client:
            return await talk(client, *sent)

    def client(self) -> AsyncClient:
        return AsyncTcpClient(self.address.host, self.address.port)


async def talk(client: AsyncClient, *sent: Eventable | Event) -> list[Event]:
    for each in sent:
        await client.write_event(each if isinstance(each, Event) else each.event())
    heard: list[Event] = []
    while (event := await client.read_event()) is not None:
        heard.append(event)
        if event.type in ("transcript-stop", "info", "pong"):
            break
    return heard


def text(heard: list[Event]) -> Any:
    return next(event.data["text"] for event in heard if event.type == "transcript")


def serve(
    scenario: Callable[[Stage], Awaitable[None]],
    pool: ScriptedPool | None = None,
    vad: Vad | None = None,
    *,
    language: str | None = "en",
    max_streams: int = 5,
    max_connections: int = 10,
    idle_timeout_s: float = 10.0,
) -> None:
    engines = pool or ScriptedPool(ScriptedEngine(say("Turn on the light. Thank you.")))

    async def start(_: InstalledModel) -> EnginePool:
        return engines

    async def run() -> None:
        catalog = Catalog.open(Path("no such folder"), "selftest")
        live = LiveStreams(
            LiveDecoders(),
            vad or ScriptedVad((0.0, 3600.0)),
            catalog,
            ResidentModels(start),
            AudioLimits(600),
            StreamLimits(max_streams, idle_timeout_s),
            DecodingDefaults(),
        )
        store = MemoryUsageStore()
        log = UsageLog(store, lambda: datetime.now(timezone.utc), 3600.0)
        server = WyomingServer(live, catalog, language, max_connections, log)
        address = await server.start(Address("127.0.0.1", 0))
        try:
            await asyncio.wait_for(scenario(Stage(address, server, live, engines, log, store)), 60)
            assert live.active == 0
        finally:
            await server.close(5.0)
            await asyncio.to_thread(log.close)

    asyncio.run(run())


def test_a_command_is_transcribed() -> None:
    async def scenario(stage: Stage) -> None:
        heard = await stage.ask(Transcribe(language="en"), START, *[chunk(tone(0.1))] * 20, STOP)
        assert text(heard) == "Turn on the light. Thank you."
        assert [event.type for event in heard] == ["transcript-start", "transcript-chunk", "transcript", "transcript-stop"]

    serve(scenario)


def test_a_command_needs_no_words_around_its_sound() -> None:
    async def scenario(stage: Stage) -> None:
        assert text(await stage.ask(chunk(tone(0.6)), STOP)) == "Turn on"

    serve(scenario)


def test_what_was_said_before_a_pause_comes_while_the_rest_is_spoken() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client() as client:
            for each in (START, *[chunk(tone(0.1))] * 35):
                await client.write_event(each.event())
            assert (await client.read_event()) == Event("transcript-start", {"language": "en"})
            assert (await client.read_event()) == Event("transcript-chunk", {"text": "Turn on the"})
            heard = await talk(client, *[chunk(tone(0.1))] * 15, STOP)
            assert text(heard) == "Turn on the light."

    engine = ScriptedEngine(say("Turn on the", start_s=0.1), say("light.", start_s=0.1))
    serve(scenario, ScriptedPool(engine), ScriptedVad((0.0, 1.0), (4.0, 4.5)))


def test_commands_may_follow_each_other_on_one_connection() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client() as client:
            for _ in range(3):
                assert text(await talk(client, START, chunk(tone(0.6)), STOP)) == "Turn on"

    serve(scenario)


def test_a_command_that_comes_before_the_answer_to_the_last_one_waits_for_its_turn() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client() as client:
            first = await talk(
                client, START, chunk(tone(0.6)), STOP, Transcribe(language="fr"), START, chunk(tone(0.6)), STOP
            )
            second = await talk(client)
        assert [event.data["language"] for event in (*first, *second) if event.type == "transcript"] == ["en", "fr"]

    serve(scenario)


def test_silence_is_an_empty_text() -> None:
    async def scenario(stage: Stage) -> None:
        assert text(await stage.ask(START, chunk(tone(1.0)), STOP)) == ""
        assert text(await stage.ask(START, STOP)) == ""

    serve(scenario, vad=ScriptedVad())


def test_a_command_without_any_sound_is_an_empty_text() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client() as client:
            assert text(await talk(client, Transcribe(language="en"), STOP)) == ""
            assert text(await talk(client, Transcribe(language="en"), START, STOP)) == ""
            assert text(await talk(client, chunk(tone(0.6)), STOP)) == "Turn on"

    serve(scenario)


def test_other_rates_and_channels_are_understood() -> None:
    async def scenario(stage: Stage) -> None:
        sound = tone(0.6, rate=48_000, channels=2)
        heard = await stage.ask(AudioStart(48_000, 2, 2), chunk(sound, rate=48_000, channels=2), STOP)
        assert text(heard) == "Turn on"

    serve(scenario)


@pytest.mark.parametrize(("language", "asked", "used"), [("de", None, "de"), ("de", "fr", "fr"), (None, None, None)])
def test_languages(language: str | None, asked: str | None, used: str | None) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ask(Transcribe(language=asked), START, chunk(tone(0.6)), STOP)
        options = stage.pool.calls[-1].options
        assert options is not None
        assert options.language == used

    serve(scenario, language=language)


def test_the_service_describes_itself_also_in_mid_command() -> None:
    async def scenario(stage: Stage) -> None:
        [event] = await stage.ask(Describe())
        assert [model.name for model in Info.from_event(event).asr[0].models] == ["selftest"]
        async with stage.client() as client:
            await client.write_event(START.event())
            assert [event.type for event in await talk(client, Describe())] == ["info"]
            assert await talk(client, Ping("x")) == [Event("pong", {"text": "x"})]
            assert text(await talk(client, chunk(tone(0.6)), STOP)) == "Turn on"

    serve(scenario)


def test_events_for_other_services_do_no_harm() -> None:
    async def scenario(stage: Stage) -> None:
        assert text(await stage.ask(Event("synthesize", {"text": "x"}), STOP, START, chunk(tone(0.6)), STOP)) == "Turn on"

    serve(scenario)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ((Transcribe(language="xx"),), "unsupported_model"),
        ((Transcribe(name="nonsense"), START), "unsupported_model"),
        ((AudioStart(16_000, 1, 1),), "invalid_parameter"),
        ((START, chunk(tone(0.1)), chunk(tone(0.1), rate=8_000)), "invalid_parameter"),
        ((Event("audio-start", {"rate": 16_000}),), "invalid_parameter"),
    ],
)
def test_what_cannot_be_done_is_told_and_the_connection_ends(sent: tuple[Eventable | Event, ...], code: str) -> None:
    async def scenario(stage: Stage) -> None:
        [error] = await stage.ask(*sent)
        assert (error.type, error.data["code"]) == ("error", code)
        assert text(await stage.ask(START, chunk(tone(0.6)), STOP)) == "Turn on"

    serve(scenario)


def test_speech_that_could_not_be_decoded_is_an_error() -> None:
    async def scenario(stage: Stage) -> None:
        [error] = await stage.ask(START, chunk(tone(0.6)), STOP)
        assert (error.type, error.data["code"]) == ("error", "engine_failed")
        said = {line["event"]: line.get("request_id") for line in lines}
        assert said["live decode failed"] == said["command refused"] == stage.on_record[0].request_id

    with capture_logs(processors=[merge_contextvars]) as lines:
        serve(scenario, ScriptedPool(ScriptedEngine(say("Hello."), failures=[EngineFailed()] * 5)))


def test_no_room() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client() as client:
            await client.write_event(START.event())
            assert [event.type for event in await talk(client, Ping())] == ["pong"]
            [error] = await stage.ask(START, chunk(tone(0.6)), STOP)
            assert (error.type, error.data["code"]) == ("error", "overloaded")
            assert text(await talk(client, chunk(tone(0.6)), STOP)) == "Turn on"

    serve(scenario, max_streams=1)


def test_too_many_connections_are_not_held() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client() as first:
            assert await talk(first, Ping()) == [Event("pong", {"text": None})]
            async with stage.client() as second:
                assert await second.read_event() is None
            assert await talk(first, Ping()) == [Event("pong", {"text": None})]

    serve(scenario, max_connections=1)


def test_who_falls_silent_in_a_command_is_told_so() -> None:
    async def scenario(stage: Stage) -> None:
        [error] = await stage.ask(START)
        assert (error.type, error.data["code"]) == ("error", "slow_upload")

    serve(scenario, idle_timeout_s=0.05)


def test_who_falls_silent_between_commands_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "IDLE_S", 0.0)

    async def scenario(stage: Stage) -> None:
        [error] = await stage.ask()
        assert (error.type, error.data["code"]) == ("error", "slow_upload")

    serve(scenario)


def test_a_client_that_leaves_frees_everything() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client() as client:
            await client.write_event(START.event())
            await client.write_event(chunk(tone(0.6)).event())
            await client.write_event(STOP.event())
            while not stage.pool.started:
                await asyncio.sleep(0.001)
        while stage.live.active or stage.pool.ended < stage.pool.started:
            await asyncio.sleep(0.001)  # pytest's time limit ends this

    serve(scenario, ScriptedPool(ScriptedEngine(say("Hello.")), delay=lambda: asyncio.Event().wait()))


def test_a_server_that_stops_gives_those_who_speak_their_text() -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.client() as client:
            for each in (START, *[chunk(tone(0.1))] * 30):
                await client.write_event(each.event())
            assert (await client.read_event()) == Event("transcript-start", {"language": "en"})
            assert (await client.read_event()) == Event("transcript-chunk", {"text": "Turn on the"})
            closing = asyncio.ensure_future(stage.server.close(5.0))
            assert text(await talk(client)) == "Turn on the"
            assert await client.read_event() is None
            await closing

    serve(scenario, vad=ScriptedVad((0.0, 1.0)))


class TestStopping:
    """No connection outlives the server; a transport that nobody closed says so when it is collected."""

    @pytest.mark.parametrize("turns", range(15))
    def test_while_a_session_ends(self, turns: int) -> None:
        async def scenario(stage: Stage) -> None:
            async with stage.client() as client:
                assert await talk(client, Ping()) == [Event("pong", {"text": None})]
            await pass_turns(turns)  # of the loop: through all that a session does once its client has left
            await stage.server.close(5.0)
            assert stage.server.connections == 0

        serve(scenario)
        gc.collect()

    @pytest.mark.parametrize("turns", range(4))
    def test_while_a_session_begins(self, turns: int) -> None:
        async def scenario(stage: Stage) -> None:
            newcomer.connect((stage.address.host, stage.address.port))
            while not stage.server.connections:
                await asyncio.sleep(0)
            await pass_turns(turns)
            await stage.server.close(5.0)
            assert stage.server.connections == 0

        with socket.socket() as newcomer:
            serve(scenario)
        gc.collect()

    def test_before_one_that_was_accepted_is_handed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        handed_over: list[Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]] = []
        start_server = asyncio.start_server

        def noting(accept: Any, *where: Any, **options: Any) -> Any:
            handed_over.append(accept)
            return start_server(accept, *where, **options)

        async def scenario(stage: Stage) -> None:
            await stage.server.close(5.0)
            ours, theirs = socket.socketpair()
            handed_over[0](*await asyncio.open_connection(sock=ours))
            assert stage.server.connections == 0
            reader, writer = await asyncio.open_connection(sock=theirs)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

        monkeypatch.setattr(asyncio, "start_server", noting)
        serve(scenario)
        gc.collect()


async def pass_turns(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


class TestTheRecordOfRequests:
    def test_a_command_is_on_it_before_its_words_are_seen(self) -> None:
        async def scenario(stage: Stage) -> None:
            await stage.ask(Transcribe(language="en"), START, *[chunk(tone(0.1))] * 20, STOP)
            [record] = stage.on_record
            assert (record.method, record.code, record.key_id, record.model) == (Method.STREAMING, 200, "", "selftest")
            assert record.audio_s == pytest.approx(2.0)
            assert record.completed is not None

        serve(scenario)

    def test_so_is_each_of_one_connection(self) -> None:
        async def scenario(stage: Stage) -> None:
            async with stage.client() as client:
                for _ in range(2):
                    await talk(client, START, chunk(tone(0.6)), STOP)
            assert [round(record.audio_s, 3) for record in stage.on_record] == [0.6, 0.6]

        serve(scenario)

    def test_so_are_one_that_is_refused_and_one_whose_client_leaves(self) -> None:
        async def scenario(stage: Stage) -> None:
            await stage.ask(Transcribe(language="tlh"), START, chunk(tone(0.6)), STOP)
            async with stage.client() as client:
                for each in (START, chunk(tone(0.6))):
                    await client.write_event(each.event())
                while len(stage.on_record) < 2:
                    await asyncio.sleep(0.001)
            while stage.on_record[-1].code is None:
                await asyncio.sleep(0.001)
            assert [record.code for record in stage.on_record] == [400, 200]

        serve(scenario)


def test_a_unix_socket(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        address = Address.parse(f"unix://{tmp_path}/s")
        server = WyomingServer(stage.live, Catalog.open(tmp_path, "selftest"), "en", 5, stage.log)
        assert str(await server.start(address)) == f"unix://{tmp_path}/s"
        async with AsyncClient.from_uri(str(address)) as client:
            assert text(await talk(client, START, chunk(tone(0.6)), STOP)) == "Turn on"
        await server.close(5.0)

    serve(scenario)


class TestAddresses:
    @pytest.mark.parametrize(
        ("uri", "shown"),
        [
            ("tcp://127.0.0.1:1", "tcp://127.0.0.1:1"),
            ("tcp://0.0.0.0", "tcp://0.0.0.0:10300"),
            ("tcp://[::1]:5", "tcp://[::1]:5"),
            ("unix:///run/s", "unix:///run/s"),
        ],
    )
    def test_what_is_understood(self, uri: str, shown: str) -> None:
        assert str(Address.parse(uri)) == shown

    @pytest.mark.parametrize(
        "uri", ["", "tcp://", "tcp://x:port", "tcp://x:99999", "http://x:1", "stdio://", "unix://", "["]
    )
    def test_what_is_not(self, uri: str) -> None:
        with pytest.raises(InvalidParameter):
            Address.parse(uri)
