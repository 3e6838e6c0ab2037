from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import Result
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection

from cli.main import app
from tests.support.live_server import (
    METADATA,
    LiveServer,
    Refusal,
    hear_all,
    results,
    running,
    say,
    transcribe,
)

ROOT = Path(__file__).parents[3]
PROGRAM = (sys.executable, "-c", "from cli.main import app; app()")


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env of the checkout
    for name in list(os.environ):
        if name.startswith("WHISPERAPI_"):
            monkeypatch.delenv(name)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "x.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(range(256)) * 50)  # 3200 frames
    return path


def stream(*arguments: str | Path, status: int = 0) -> Result:
    result = CliRunner().invoke(app, ["stream", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def query_of(server: LiveServer) -> list[tuple[str, str]]:
    assert server.request is not None
    parts = urlsplit(server.request.path)
    assert parts.path == "/v1/listen"
    return parse_qsl(parts.query, keep_blank_values=True)


def asked(recording: Path, *arguments: str) -> dict[str, str]:
    with running() as server:
        stream(recording, "--url", server.url, "--speed", "0", *arguments)
    query = query_of(server)
    assert len(query) == len(dict(query))
    return dict(query)


class TestStream:
    def test_a_file_is_sent_and_its_finals_are_printed(self, recording: Path) -> None:
        with running() as server:
            result = stream(recording, "--url", server.url, "--speed", "0")
        with wave.open(str(recording)) as file:
            assert server.sound == file.readframes(9_999)
        assert (result.stdout, result.stderr) == ("Hello world.\n", "")

    def test_json_prints_every_message(self, recording: Path) -> None:
        with running() as server:
            result = stream(recording, "--url", server.url, "--speed", "0", "--json")
        assert [line[:16] for line in result.stdout.splitlines()] == [
            '{"type":"Results',
            '{"type":"Results',
            '{"type":"Metadat',
        ]

    def test_the_form_of_the_sound_is_declared_and_words_are_punctuated(self, recording: Path) -> None:
        assert asked(recording) == {"encoding": "linear16", "sample_rate": "16000", "channels": "2", "punctuate": "true"}

    def test_every_option_becomes_its_parameter(self, recording: Path) -> None:
        given = "--no-punctuate --interim-results --endpointing false --utterance-end-ms 1000 --vad-events --multichannel"
        query = asked(recording, *given.split(), "--model", "nova-3", "--language", "fr", "--param", "tag=a b&c")
        del query["encoding"], query["sample_rate"], query["channels"]
        assert query == {
            "interim_results": "true",
            "endpointing": "false",
            "utterance_end_ms": "1000",
            "vad_events": "true",
            "multichannel": "true",
            "model": "nova-3",
            "language": "fr",
            "tag": "a b&c",
        }

    def test_a_parameter_given_by_name_wins_and_may_be_repeated(self, recording: Path) -> None:
        with running() as server:
            given = ["--param", "punctuate=false", "--param", "keyterm=a", "--param", "keyterm=b="]
            stream(recording, "--url", server.url, "--speed", "0", *given)
        assert query_of(server)[3:] == [("punctuate", "false"), ("keyterm", "a"), ("keyterm", "b=")]

    @pytest.mark.parametrize("name", ["WHISPERAPI_API_KEY", "WHISPERAPI_KEY"])
    def test_the_key_may_come_from_the_environment(
        self, recording: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, "from-outside")
        with running() as server:
            stream(recording, "--url", server.url, "--speed", "0")
            assert server.request is not None
            assert server.request.headers["Authorization"] == "Token from-outside"
            stream(recording, "--url", server.url, "--speed", "0", "--key", "from-inside")
            assert server.request.headers["Authorization"] == "Token from-inside"


class TestFailures:
    def test_a_refusal_is_a_sentence_and_status_1(self, recording: Path) -> None:
        with running(refusal=Refusal(401, {"dg-error": "Invalid credentials."})) as server:
            result = stream(recording, "--url", server.url, status=1)
        assert result.stdout == ""
        assert result.stderr.startswith("Error: The server refused the stream: 401 Invalid credentials.")

    def test_what_was_heard_before_the_server_broke_off_is_printed(self, recording: Path) -> None:
        async def script(connection: ServerConnection, server: LiveServer) -> None:
            await hear_all(connection, server)
            await say(connection, results("The first half."))
            await connection.close(1011, "internal error")

        with running(script) as server:
            result = stream(recording, "--url", server.url, "--speed", "0", status=1)
        assert result.stdout == "The first half.\n"
        assert result.stderr == "Error: The server broke the stream off (1011 internal error).\n"

    def test_a_file_that_is_no_sound_never_reaches_the_server(self, tmp_path: Path) -> None:
        letter = tmp_path / "x.wav"
        letter.write_text("a letter, not a recording" * 99)
        with running() as server:
            result = stream(letter, "--url", server.url, status=1)
        assert server.request is None
        assert result.stderr == "Error: failed to process audio: corrupt or unsupported data\n"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--endpointing", "soon"), "milliseconds"),
            (("--endpointing", "-1"), "milliseconds"),
            (("--utterance-end-ms", "-1"), "--utterance-end-ms"),
            (("--speed", "-1"), "--speed"),
            (("--param", "punctuate"), "name=value"),
            (("--param", "=x"), "name=value"),
            (("--param", "sample_rate=8000"), "sets it itself"),
            (("--encoding", "mp3"), "linear16"),
            (("--sample-rate", "x"), "--sample-rate"),
            (("--key", "two words"), "no key"),
            (("--key", "kéy"), "no key"),
            (("--url", "ftp://host"), "wss://"),
            (("--url", "localhost"), "wss://"),
            (("--url", "ws://"), "wss://"),
            (("--url", "ws://host:x"), "wss://"),
            (("--url", "ws://host?model=x"), "--param"),
            (("--url", "ws://key@host"), "--key"),
        ],
    )
    def test_a_wrong_argument_is_named_and_ends_with_status_2(
        self, recording: Path, arguments: tuple[str, str], said: str
    ) -> None:
        assert said in stream(recording, *arguments, status=2).stderr

    def test_a_wrong_key_is_not_repeated(self, recording: Path) -> None:
        assert "s3cret" not in stream(recording, "--key", "s3cret word", status=2).output

    def test_a_file_that_is_not_there_ends_with_status_2(self, tmp_path: Path) -> None:
        assert "There is no file" in stream("nothing.wav", status=2).stderr
        assert "There is no file" in stream(tmp_path, status=2).stderr


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", "/v1/listen"),
        ("/", "/v1/listen"),
        ("/v1", "/v1/listen"),
        ("/v1/listen", "/v1/listen"),
        ("/speech/", "/speech/v1/listen"),
    ],
)
@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_an_address_may_be_given_short_or_whole(recording: Path, given: str, path: str, scheme: str) -> None:
    with running() as server:
        parts = urlsplit(server.url)
        stream(recording, "--url", f"{scheme}://{parts.netloc}{given}", "--speed", "0")
        assert server.request is not None
        assert urlsplit(server.request.path).path == path


@contextmanager
def as_process(*arguments: str, stdin: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*PROGRAM, "stream", *arguments], env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # a failed test must not wait for it


def slowly(recording: Path, server: LiveServer) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Two pieces, of which the second is due after 100 s."""
    return as_process(str(recording), "--url", server.url, "--speed", "0.001")


class TestProcess:
    def test_standard_input_is_sent_while_it_comes(self) -> None:
        async def script(connection: ServerConnection, server: LiveServer) -> None:
            server.received.append(await connection.recv())
            await say(connection, results("Got it."))
            await transcribe(connection, server)

        with running(script) as server:
            given = ("-", "--url", server.url, "--encoding", "linear16", "--sample-rate", "16000")
            with as_process(*given, stdin=subprocess.PIPE) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(bytes(3_200))
                process.stdin.flush()
                assert process.stdout.readline().rstrip() == b"Got it."  # before the input has ended
                output, errors = process.communicate(bytes(640), timeout=60)
        assert (output.split(), errors, process.returncode) == ([b"Hello", b"world."], b"", 0)
        assert server.sound == bytes(3_840)

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
    def test_ctrl_c_ends_the_stream_in_order_and_prints_the_rest(self, recording: Path) -> None:
        async def script(connection: ServerConnection, server: LiveServer) -> None:
            await connection.recv()
            await say(connection, results("So far."))
            await hear_all(connection, server)
            await say(connection, results("The rest."), METADATA)

        with running(script) as server, slowly(recording, server) as process:
            assert process.stdout is not None
            assert process.stdout.readline().rstrip() == b"So far."
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        assert (output.rstrip(), errors, process.returncode) == (b"The rest.", b"", 130)
        assert server.controls == [{"type": "CloseStream"}]

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
    def test_a_second_ctrl_c_does_not_wait_for_the_rest(self, recording: Path) -> None:
        closing = threading.Event()

        async def script(connection: ServerConnection, server: LiveServer) -> None:
            await say(connection, results("So far."))
            await hear_all(connection, server)
            closing.set()
            await connection.wait_closed()  # says nothing more

        with running(script) as server, slowly(recording, server) as process:
            assert process.stdout is not None
            assert process.stdout.readline().rstrip() == b"So far."
            process.send_signal(signal.SIGINT)
            assert closing.wait(60)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        assert (output, errors, process.returncode) == (b"", b"", 130)
