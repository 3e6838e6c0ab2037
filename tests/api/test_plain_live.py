"""``WS /ws/transcribe``: bare samples in, ``{text, language, is_final}`` out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from tests.support.app import Stage, staged
from tests.support.live_talk import Talk, read_to_the_end, refusal, send, tone

PATH = "/ws/transcribe"
STOP = '{"action":"stop"}'


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def talk(stage: Stage, *sent: bytes | str, path: str = PATH) -> Talk:
    with stage.client.websocket_connect(path) as socket:
        send(socket, *sent)
        return read_to_the_end(socket)


def finals(heard: Talk) -> list[str]:
    return [message["text"] for message in heard.messages if message["is_final"]]


class TestWords:
    def test_text_comes_with_its_language_and_becomes_final(self, stage: Stage) -> None:
        heard = talk(stage, *[tone(0.1)] * 20, STOP, path=f"{PATH}?language=en")
        assert heard.messages[-1] == {"text": "Hello world. How are you?", "language": "en", "is_final": True}
        assert all(set(message) == {"text", "language", "is_final"} for message in heard.messages)
        assert (heard.code, heard.reason) == (1000, "")

    def test_interims_come_while_somebody_speaks(self, stage: Stage) -> None:
        with stage.client.websocket_connect(PATH) as socket:
            send(socket, *[tone(0.1)] * 20)
            message = socket.receive_json()
            assert message["is_final"] is False
            assert "Hello world. How are you?".startswith(message["text"])

    def test_a_pause_makes_text_final(self, tmp_path: Path) -> None:
        engine = ScriptedEngine(say("First part."))
        running = staged(tmp_path, ScriptedPool(engine), ScriptedVad((0.0, 1.0)))
        with running as stage, stage.client.websocket_connect(PATH) as socket:
            send(socket, *[tone(0.1)] * 30)
            while not (message := socket.receive_json())["is_final"]:
                pass
            assert message["text"] == "First part."

    def test_silence_says_nothing(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad()) as stage:
            heard = talk(stage, *[tone(0.1)] * 60, STOP)
            assert (heard.messages, heard.code) == ([], 1000)

    def test_without_a_language_it_is_detected(self, tmp_path: Path) -> None:
        with staged(tmp_path, ScriptedPool(ScriptedEngine(say("Hola."), language="es"))) as stage:
            assert talk(stage, tone(1.0), STOP).messages[-1]["language"] == "es"

    def test_a_translation_is_english(self, stage: Stage) -> None:
        heard = talk(stage, tone(1.0), STOP, path=f"{PATH}?language=fr&task=translate")
        assert heard.messages[-1]["language"] == "en"
        asked = stage.pool.calls[-1].options
        assert asked is not None
        assert (asked.language, asked.translate) == ("fr", True)

    def test_another_rate_can_be_declared(self, stage: Stage) -> None:
        heard = talk(stage, tone(1.0, rate=8000), STOP, path=f"{PATH}?sample_rate=8000")
        assert finals(heard) == ["Hello world. How"]


class TestControl:
    @pytest.mark.parametrize(
        "end",
        [b"", "stop", "END", '"done"', STOP, '{"type":"CloseStream"}', '{"event":"end"}', '{"eof":1}', "EOS"],
    )
    def test_any_usual_word_ends_the_stream(self, stage: Stage, end: bytes | str) -> None:
        heard = talk(stage, tone(1.0), end)
        assert finals(heard) == ["Hello world. How"]
        assert heard.code == 1000

    def test_a_flush_answers_at_once_and_goes_on(self, stage: Stage) -> None:
        with stage.client.websocket_connect(PATH) as socket:
            send(socket, tone(1.0), '{"action":"flush"}')
            while not (message := socket.receive_json())["is_final"]:
                pass
            assert message["text"] == "Hello world. How"
            send(socket, STOP)
            assert read_to_the_end(socket).code == 1000

    def test_a_flush_of_silence_is_answered(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad()) as stage, stage.client.websocket_connect(PATH) as socket:
            send(socket, tone(1.0), "flush")
            assert socket.receive_json()["text"] == ""

    @pytest.mark.parametrize("other", ["hello", '{"type":"config"}', "[1]", "5", '{"eof":0}', '{"action":5}', "ping"])
    def test_other_texts_do_no_harm(self, stage: Stage, other: str) -> None:
        assert finals(talk(stage, other, tone(1.0), other, STOP)) == ["Hello world. How"]


class TestHandshake:
    @pytest.mark.parametrize(
        ("query", "word"),
        [("language=xx", "language"), ("task=sing", "task"), ("sample_rate=5", "sample_rate"), ("model=nonsense", "model")],
    )
    def test_what_cannot_be_done_is_refused_before_the_upgrade(self, stage: Stage, query: str, word: str) -> None:
        answer = refusal(stage.client, f"{PATH}?{query}")
        assert answer.status_code == 400
        assert word in json.loads(answer.content)["detail"]
        assert stage.app.state.services.live.active == 0

    def test_without_a_key(self, stage: Stage) -> None:
        answer = refusal(stage.client, PATH, headers={"Authorization": ""})
        assert answer.status_code == 401
        assert set(json.loads(answer.content)) == {"detail", "request_id"}

    def test_no_room(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_streams=1) as stage, stage.client.websocket_connect(PATH):
            answer = refusal(stage.client, PATH)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
