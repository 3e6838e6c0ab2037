"""The command line and the examples as people run them, against a running server with the real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.running_server import RunningServer

pytestmark = pytest.mark.compat

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "tests" / "audio"
EXAMPLES = ROOT / "scripts" / "examples"
SENTENCES = ["Good morning John.", "How are you today?", "Please open the red door.", "The window is blue."]
PATIENCE_S = 60


def environment(server: RunningServer) -> dict[str, str]:
    """Only what a person would set; nothing of this machine's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WHISPERAPI_")}
    ours = {"WHISPERAPI_KEY": server.key, "WHISPERAPI_URL": server.url, "PYTHONPATH": str(ROOT), "NO_PROXY": "*"}
    return kept | ours


def whisperapi(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", "from cli.main import app; app()", *map(str, arguments)]


def output(server: RunningServer, command: list[str], **given: Any) -> str:
    done = subprocess.run(
        command,
        check=False,
        env=environment(server) | given.pop("env", {}),
        capture_output=True,
        timeout=PATIENCE_S,
        **given,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def streamed(server: RunningServer, *arguments: str | Path) -> list[str]:
    return output(server, whisperapi("stream", "--url", server.ws_url, "--speed", "0", *arguments)).splitlines()


def test_a_file_is_printed_sentence_by_sentence(server: RunningServer) -> None:
    assert streamed(server, CLIPS / "sentences-10s.wav") == SENTENCES


@pytest.mark.parametrize("clip", ["sentences-10s.wav", "dialogue-two-speakers.wav", "hello-world.mp3", "hello-world.opus"])
def test_a_live_stream_has_the_words_of_the_recording(server: RunningServer, clip: str, tmp_path: Path) -> None:
    given = {"WHISPERAPI_DATA_DIR": str(tmp_path), "WHISPERAPI_DEFAULT_MODEL": "selftest"}
    recorded = output(server, whisperapi("transcribe", CLIPS / clip), env=given)
    assert recorded.split()
    assert " ".join(streamed(server, CLIPS / clip)).split() == recorded.split()


def test_a_pipe_gives_the_words_of_the_file(server: RunningServer) -> None:
    with (CLIPS / "sentences-10s.wav").open("rb") as piped:
        command = whisperapi("stream", "-", "--url", server.ws_url, "--speed", "0")
        assert output(server, command, stdin=piped).splitlines() == SENTENCES


def test_channels_are_transcribed_apart(server: RunningServer) -> None:
    lines = streamed(server, ROOT / "tests" / "compat" / "audio" / "stereo-one-speaker-per-channel.flac", "--multichannel")
    assert sorted(lines) == ["[0] Thank you.", "[0] Where is John?", "[1] John is in Paris."]


def test_json_has_every_event_and_ends_with_metadata(server: RunningServer) -> None:
    asked = ("--json", "--interim-results", "--vad-events", "--utterance-end-ms", "1000", "--endpointing", "300")
    messages = [json.loads(line) for line in streamed(server, CLIPS / "sentences-10s.wav", *asked)]
    kinds = [message["type"] for message in messages]
    assert set(kinds) == {"Results", "SpeechStarted", "UtteranceEnd", "Metadata"}
    assert kinds.index("SpeechStarted") < kinds.index("Results")
    assert kinds[-1] == "Metadata"
    assert messages[-1]["duration"] == pytest.approx(9.947, abs=0.01)
    finals = [message for message in messages if message.get("is_final")]
    said = [final["channel"]["alternatives"][0]["transcript"] for final in finals]
    assert [line for line in said if line] == SENTENCES


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_prints_what_was_said_before_it(server: RunningServer) -> None:
    command = whisperapi("stream", CLIPS / "sentences-10s.wav", "--url", server.ws_url, "--json", "--vad-events")
    with subprocess.Popen(command, env=environment(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            while json.loads(process.stdout.readline())["type"] != "Results":
                pass
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()  # a failed test must not wait for it
    assert (errors, process.returncode) == (b"", 130)
    last = json.loads(rest.splitlines()[-1])
    assert last["type"] == "Metadata"
    assert last["duration"] < 9.9


def test_a_wrong_key_is_refused_with_a_sentence(server: RunningServer) -> None:
    command = whisperapi("stream", CLIPS / "hello-world.wav", "--url", server.ws_url, "--key", "0" * 40)
    done = subprocess.run(command, check=False, env=environment(server), capture_output=True, timeout=PATIENCE_S, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The server refused the stream: 401 Invalid credentials.")
    assert "Traceback" not in done.stderr


def test_the_example_for_recordings_prints_transcript_and_utterances(server: RunningServer) -> None:
    lines = output(
        server, [sys.executable, str(EXAMPLES / "python_recording.py"), str(CLIPS / "sentences-10s.wav")]
    ).splitlines()
    assert lines[0] == " ".join(SENTENCES)
    assert [line.split(" s  ")[1] for line in lines[1:]] == SENTENCES


def test_the_example_for_live_streams_prints_finals(server: RunningServer) -> None:
    lines = output(server, [sys.executable, str(EXAMPLES / "python_live.py"), str(CLIPS / "hello-world.wav")]).splitlines()
    assert [line for line in lines if not line.startswith("  ...")] == ["Hello world."]
