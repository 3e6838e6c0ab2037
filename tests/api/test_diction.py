"""``WS /v1/audio/stream``: sound in, ``{"action": "done"}``, one text out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.domain.errors import EngineFailed
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from tests.support.app import STATIC_KEY, Stage, staged
from tests.support.live_media import cut
from tests.support.live_talk import Talk, read_to_the_end, refusal, send, tone

PATH = "/v1/audio/stream?language=en"
DONE = '{"action":"done"}'
OPUS = Path(__file__).parents[1] / "audio" / "hello-world.opus"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def dictate(client: TestClient, *sent: bytes | str, path: str = PATH, **given: Any) -> Talk:
    with client.websocket_connect(path, **given) as socket:
        send(socket, *sent)
        return read_to_the_end(socket)


class TestDictation:
    def test_one_text_comes_back_and_the_connection_closes_normally(self, stage: Stage) -> None:
        talk = dictate(stage.client, tone(2.0), DONE)
        assert talk.messages == [{"text": "Hello world. How are you?"}]
        assert (talk.code, talk.reason) == (1000, "")

    def test_nothing_is_said_before_the_end(self, stage: Stage) -> None:
        with stage.client.websocket_connect(PATH) as socket:
            send(socket, *[tone(0.1)] * 40)
            send(socket, DONE)
            assert socket.receive_json() == {"text": "Hello world. How are you?"}

    def test_what_was_said_before_a_pause_and_after_it_is_one_text(self, tmp_path: Path) -> None:
        engine = ScriptedEngine(say("Uh, first part."), say("Second part."))
        with staged(tmp_path, ScriptedPool(engine), ScriptedVad((0.0, 1.5), (4.0, 5.5))) as stage:
            talk = dictate(stage.client, *[tone(0.1)] * 60, DONE)
            assert talk.messages == [{"text": "Uh, first part. Second part."}]
            assert len(stage.pool.calls) >= 2

    def test_silence_is_an_empty_text(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad()) as stage:
            talk = dictate(stage.client, tone(2.0), DONE)
            assert (talk.messages, talk.code) == ([{"text": ""}], 1000)

    @pytest.mark.parametrize("other", ["hello", '{"tone":"formal"}', "[1]", '{"action":"start"}', ""])
    def test_other_texts_are_for_gateways_and_ignored(self, stage: Stage, other: str) -> None:
        talk = dictate(stage.client, other, tone(2.0), other, DONE)
        assert (len(talk.messages), talk.code) == (1, 1000)

    def test_the_end_may_repeat_the_language(self, stage: Stage) -> None:
        talk = dictate(stage.client, tone(2.0), '{"action":"done","language":"en"}')
        assert talk.messages == [{"text": "Hello world. How are you?"}]

    def test_what_comes_after_the_end_is_ignored(self, stage: Stage) -> None:
        talk = dictate(stage.client, tone(1.0), DONE, tone(5.0), DONE)
        assert talk.messages == [{"text": "Hello world. How"}]

    def test_no_audio_has_its_own_code(self, stage: Stage) -> None:
        talk = dictate(stage.client, b"", DONE)
        assert (talk.messages, talk.code, talk.reason) == ([], 4004, "no audio received")

    def test_speech_that_could_not_be_decoded_is_no_empty_text(self, tmp_path: Path) -> None:
        pool = ScriptedPool(ScriptedEngine(say("Hello."), failures=[EngineFailed()] * 5))
        with staged(tmp_path, pool) as stage:
            talk = dictate(stage.client, tone(1.0), DONE)
            assert (talk.messages, talk.code, talk.reason) == ([], 4002, "transcription failed")

    def test_ogg_with_opus_is_decoded_in_whatever_pieces_it_comes(self, stage: Stage) -> None:
        talk = dictate(stage.client, *cut(OPUS.read_bytes(), 500), DONE, path=f"{PATH}&codec=opus")
        assert talk.messages == [{"text": "Hello world. How are"}]
        assert stage.pool.calls[-1].samples == pytest.approx(1.3 * 16_000, rel=0.1)

    def test_what_was_declared_as_opus_and_is_not(self, stage: Stage) -> None:
        talk = dictate(stage.client, tone(1.0), DONE, path=f"{PATH}&codec=opus")
        assert (talk.messages, talk.code) == ([], 4002)


class TestHandshake:
    def refused(self, stage: Stage, path: str, status: int, **given: Any) -> dict[str, Any]:
        answer = refusal(stage.client, path, **given)
        assert answer.status_code == status
        error: dict[str, Any] = json.loads(answer.content)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert stage.app.state.services.live.active == 0
        return error

    def test_an_unknown_codec_is_told_so_before_the_upgrade(self, stage: Stage) -> None:
        error = self.refused(stage, f"{PATH}&codec=mp9", 400)
        assert error["param"] == "codec"
        assert "opus" in error["message"]

    def test_an_unknown_language(self, stage: Stage) -> None:
        assert self.refused(stage, "/v1/audio/stream?language=xx", 400)["param"] == "language"

    def test_an_unknown_model(self, stage: Stage) -> None:
        assert self.refused(stage, f"{PATH}&model=nonsense", 404)["code"] == "model_not_found"

    def test_a_prompt_that_is_too_long(self, stage: Stage) -> None:
        assert self.refused(stage, f"{PATH}&prompt={'x' * 1001}", 400)["param"] == "prompt"

    def test_without_a_key(self, stage: Stage) -> None:
        assert self.refused(stage, PATH, 401, headers={"Authorization": ""})["code"] == "invalid_api_key"

    def test_no_room(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_streams=1) as stage, stage.client.websocket_connect(PATH):
            answer = refusal(stage.client, PATH)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
            assert json.loads(answer.content)["error"]["code"] == "rate_limit_exceeded"

    def test_a_bearer_key_opens(self, stage: Stage) -> None:
        talk = dictate(stage.client, tone(1.0), DONE, headers={"Authorization": f"Bearer {STATIC_KEY}"})
        assert talk.code == 1000

    def test_model_language_and_prompt_reach_the_engine(self, stage: Stage) -> None:
        dictate(stage.client, tone(1.0), DONE, path="/v1/audio/stream?language=fr-FR&model=gpt-4o-transcribe&prompt=Bonjour")
        options = stage.pool.calls[-1].options
        assert options is not None
        assert (options.language, options.prompt) == ("fr", "Bonjour")

    def test_without_a_language_it_is_detected(self, stage: Stage) -> None:
        dictate(stage.client, tone(1.0), DONE, path="/v1/audio/stream")
        options = stage.pool.calls[-1].options
        assert options is not None
        assert options.language is None
