"""``whisperapi stream --captions``: what a live stream leaves behind."""

from __future__ import annotations

import os
import wave
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection

from app.domain.text.cues import CueLimits
from cli.captions import CaptionWriter
from cli.live_client import LiveFailure
from cli.live_screen import JsonLines
from cli.main import app
from tests.support.live_server import METADATA, LiveServer, hear_all, results, running, say


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
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(3200))
    return path


def final(*words: dict[str, Any], channel: tuple[int, int] = (0, 1), is_final: bool = True) -> dict[str, Any]:
    message = results(" ".join(word["word"] for word in words), final=is_final)
    message["channel_index"] = list(channel)
    message["channel"]["alternatives"][0]["words"] = list(words)
    return message


def word(text: str, start: float, **more: Any) -> dict[str, Any]:
    return {"word": text.lower().strip("."), "start": start, "end": start + 0.5, "confidence": 0.9, **more}


async def dialogue(connection: ServerConnection, server: LiveServer) -> None:
    await hear_all(connection, server)
    await say(connection, final(word("Never", 0.0), is_final=False))
    await say(connection, final(word("Good", 0.0, speaker=0), word("day.", 0.5, speaker=0, punctuated_word="day.")))
    await say(connection, final(word("[NAME_1]", 2.0, speaker=1, punctuated_word="[NAME_1]")))
    await say(connection, METADATA)


def run(*arguments: str | Path, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["stream", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.stderr


def test_finals_become_a_file_of_webvtt(recording: Path, tmp_path: Path) -> None:
    with running(dialogue) as server:
        run(recording, "--url", server.url, "--speed", "0", "--captions", tmp_path / "out.vtt")
    assert (tmp_path / "out.vtt").read_text(encoding="utf-8") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n<v Speaker 0>good day.\n\n"
        "00:00:02.000 --> 00:00:02.833\n<v Speaker 1>[NAME_1]\n"
    )


def test_the_ending_chooses_srt_and_options_set_the_limits(recording: Path, tmp_path: Path) -> None:
    with running(dialogue) as server:
        given = ("--captions", tmp_path / "out.SRT", "--caption-line-length", "10", "--caption-lines", "1")
        run(recording, "--url", server.url, "--speed", "0", *given)
    assert (tmp_path / "out.SRT").read_text(encoding="utf-8").startswith("1\n00:00:00,000 --> ")


def test_a_stream_that_breaks_off_leaves_what_was_heard(recording: Path, tmp_path: Path) -> None:
    async def broken(connection: ServerConnection, server: LiveServer) -> None:
        await hear_all(connection, server)
        await say(connection, final(word("half", 0.0)))
        await connection.close(1011, "internal error")

    with running(broken) as server:
        run(recording, "--url", server.url, "--speed", "0", "--captions", tmp_path / "out.srt", status=1)
    assert "half" in (tmp_path / "out.srt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["out.txt", "out", "nowhere/out.srt"])
def test_a_file_that_cannot_be_is_refused_before_anything_is_sent(recording: Path, name: str) -> None:
    run(recording, "--captions", name, status=2)


def test_silence_leaves_an_empty_file(tmp_path: Path) -> None:
    with CaptionWriter(JsonLines(), tmp_path / "a.vtt", "en", CueLimits()):
        pass
    assert (tmp_path / "a.vtt").read_text() == "WEBVTT\n"


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.vtt").mkdir()
    with pytest.raises(LiveFailure, match="captions could not be written"):  # noqa: SIM117
        with CaptionWriter(JsonLines(), tmp_path / "a.vtt", "en", CueLimits()):
            pass


def test_words_of_a_language_without_spaces_are_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with CaptionWriter(JsonLines(), tmp_path / "a.vtt", "zh-CN", CueLimits()) as _:
        pass
    writer = CaptionWriter(JsonLines(), tmp_path / "a.vtt", "multi", CueLimits())
    with writer:
        writer.take(final(word("你", 0.0, language="zh"), word("好", 0.5, language="zh")))
        writer.take({"type": "Results", "is_final": True, "channel": {"alternatives": [{}]}})
    assert "你好" in (tmp_path / "a.vtt").read_text(encoding="utf-8")
    assert "Results" in capsys.readouterr().out


async def two_channels(connection: ServerConnection, server: LiveServer) -> None:
    await hear_all(connection, server)
    await say(connection, final(channel=(0, 2)))
    await say(connection, final(word("Yes.", 0.0, speaker=0), channel=(1, 2)))
    await say(connection, final(word("Lost.", 1.0, speaker=0), channel=(2, 2)))
    await say(connection, METADATA)


def test_speakers_of_several_channels_are_named_with_their_channel(recording: Path, tmp_path: Path) -> None:
    with running(two_channels) as server:
        run(recording, "--url", server.url, "--speed", "0", "--captions", tmp_path / "out.vtt")
    voices = [line for line in (tmp_path / "out.vtt").read_text(encoding="utf-8").splitlines() if line.startswith("<")]
    assert voices == ["<v Channel 1 Speaker 0>yes"]
