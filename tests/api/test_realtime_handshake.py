"""The handshake of ``WS /v1/realtime``: who gets in, how the others are told, and how a session ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import Overloaded
from tests.support.app import STATIC_KEY, Stage, staged
from tests.support.live_talk import refusal
from tests.support.realtime_talk import BETA, COMMIT, COMPLETED, DELTA, PATH, Session, session, settings, speech

SECRET = f"openai-insecure-api-key.{STATIC_KEY}"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def refused(stage: Stage, status: int, path: str = PATH, **given: Any) -> dict[str, Any]:
    """OpenAI's error object in the answer to a handshake that is not accepted."""
    answer = refusal(stage.client, path, **given)
    assert answer.status_code == status
    error: dict[str, Any] = json.loads(answer.content)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert stage.app.state.services.live.active == 0
    return error


def without_header(stage: Stage) -> Stage:
    stage.client.headers.pop("Authorization", None)
    return stage


class TestKeys:
    @pytest.mark.parametrize("scheme", ["Bearer", "Token"])
    def test_in_the_header(self, stage: Stage, scheme: str) -> None:
        with session(stage.client, headers={"Authorization": f"{scheme} {STATIC_KEY}"}) as talk:
            assert talk.kinds == ["session.created"]

    @pytest.mark.parametrize(
        ("offered", "first"),
        [
            (["realtime", SECRET, "openai-beta.realtime-v1"], "transcription_session.created"),
            (["realtime", SECRET], "session.created"),
            ([SECRET, "realtime"], "session.created"),
        ],
    )
    def test_in_the_subprotocols_of_browsers(self, stage: Stage, offered: list[str], first: str) -> None:
        with without_header(stage).client.websocket_connect(PATH, subprotocols=offered) as socket:
            assert socket.accepted_subprotocol == "realtime"
            assert Session(socket).next()["type"] == first

    def test_the_key_itself_is_never_answered(self, stage: Stage) -> None:
        with without_header(stage).client.websocket_connect(PATH, subprotocols=[SECRET]) as socket:
            assert socket.accepted_subprotocol is None

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"headers": {"Authorization": "Bearer wrong"}},
            {"subprotocols": ["realtime"]},
            {"subprotocols": ["realtime", "openai-insecure-api-key.wrong"]},
            {"subprotocols": ["realtime", SECRET], "headers": {"Authorization": "Bearer wrong"}},
        ],
    )
    def test_others_are_told_401(self, stage: Stage, given: dict[str, Any]) -> None:
        assert refused(without_header(stage), 401, **given)["code"] == "invalid_api_key"

    def test_a_key_that_may_not(self, stage: Stage) -> None:
        _, secret = stage.accounts.create("reader", scopes=("usage:read",))
        for given in (
            {"headers": {"Authorization": f"Bearer {secret}"}},
            {"subprotocols": ["realtime", f"openai-insecure-api-key.{secret}"], "headers": {}},
        ):
            assert refused(without_header(stage), 403, **given)["code"] == "insufficient_permissions"

    def test_without_keys_any_will_do(self, tmp_path: Path) -> None:
        with staged(tmp_path, auth=False) as stage:
            given: dict[str, Any] = {"subprotocols": ["realtime", "openai-insecure-api-key.x"]}
            with session(stage.client, headers={"Authorization": ""}, **given) as talk:
                assert talk.kinds == ["session.created"]


class TestQuery:
    def test_other_sessions_are_refused(self, stage: Stage) -> None:
        assert refused(stage, 400, "/v1/realtime?intent=conversation")["param"] == "intent"

    def test_an_unknown_model(self, stage: Stage) -> None:
        assert refused(stage, 404, f"{PATH}&model=nonsense")["code"] == "model_not_found"

    @pytest.mark.parametrize("model", ["gpt-realtime", "gpt-4o-transcribe", "whisper-1", "selftest"])
    def test_known_models(self, stage: Stage, model: str) -> None:
        with session(stage.client, path=f"/v1/realtime?model={model}") as talk:
            assert talk.seen[0]["session"]["audio"]["input"]["transcription"]["model"] == model

    def test_without_a_model_the_one_that_serves_is_named(self, stage: Stage) -> None:
        with session(stage.client) as talk:
            assert talk.seen[0]["session"]["audio"]["input"]["transcription"]["model"] == "selftest"

    def test_the_beta_without_an_intent_has_a_plain_session(self, stage: Stage) -> None:
        with session(stage.client, path="/v1/realtime?model=gpt-4o-realtime-preview", headers=BETA) as talk:
            assert talk.kinds == ["session.created"]
            assert talk.seen[0]["session"]["input_audio_format"] == "pcm16"


class TestEnds:
    def test_no_room(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_streams=1) as stage, session(stage.client):
            answer = refusal(stage.client, PATH)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
            assert json.loads(answer.content)["error"]["code"] == "rate_limit_exceeded"

    def test_a_session_keeps_its_room_when_its_settings_change(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_streams=1) as stage:
            with session(stage.client, settings(turn_detection=None)) as talk:
                talk.send(*speech(1.0), COMMIT)
                talk.until(COMPLETED)
            with session(stage.client):
                pass

    def test_where_no_stream_can_go_on_the_session_says_so(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        with session(stage.client) as talk:

            def full(_: object) -> None:
                raise Overloaded

            monkeypatch.setattr(stage.app.state.services.live, "admit", full)
            talk.send(settings(transcription={"language": "de"}))
            assert talk.next()["type"] == "session.updated"
            assert talk.closed() == 1013
            assert talk.seen[-1]["error"]["code"] == "rate_limit_exceeded"

    def test_a_server_that_stops_sends_what_it_heard(self, stage: Stage) -> None:
        with session(stage.client) as talk:
            talk.send(*speech(2.0))
            told = talk.until(DELTA)["delta"]
            stage.client.portal.call(stage.app.state.services.live.drain, 5.0)  # type: ignore[union-attr]
            assert talk.closed() == 1001
            [transcript] = talk.transcripts
            assert transcript.startswith(told)

    def test_a_client_that_leaves_gives_its_room_back(self, stage: Stage) -> None:
        with session(stage.client) as talk:
            talk.send(*speech(1.0))
            assert stage.app.state.services.live.active == 1
        assert stage.app.state.services.live.active == 0
        assert stage.pool.admitted == 0

    def test_audio_is_counted_when_a_stream_has_ended(self, stage: Stage) -> None:
        with session(stage.client, settings(turn_detection=None)) as talk:
            talk.send(*speech(1.0), settings(transcription={"language": "de"}), *speech(0.5), COMMIT)
            talk.until(COMPLETED)
            counted = re.search(r"^whisperapi_audio_seconds_total (\S+)", stage.client.get("/metrics").text, re.MULTILINE)
        assert counted is not None
        assert float(counted[1]) == pytest.approx(1.0, abs=0.01)
