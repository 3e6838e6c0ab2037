"""The handshake of ``WS /v1/listen``: who gets in, and how the others are told (contract 1.1, 3.8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from starlette.testclient import WebSocketDenialResponse

from tests.support.app import STATIC_KEY, Stage, staged
from tests.support.live_talk import CLOSE, RAW, converse, read_to_the_end, refusal, send, tone

PATH = f"/v1/listen?{RAW}"
NOBODY = {"Authorization": ""}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def refused(stage: Stage, path: str, status: int, **given: Any) -> dict[str, Any]:
    """The JSON body of a refusal, whose form every refusal shares."""
    answer = refusal(stage.client, path, **given)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = json.loads(answer.content)
    assert set(body) >= {"err_code", "err_msg", "request_id"}
    assert UUID(body["request_id"])
    assert answer.headers["dg-request-id"] == body["request_id"]
    assert answer.headers["dg-error"] == body["err_msg"]
    assert "\n" not in answer.headers["dg-error"]
    assert stage.app.state.services.live.active == 0
    return body


class TestCredentials:
    @pytest.mark.parametrize("scheme", ["Token", "token", "TOKEN", "Bearer", "bearer"])
    def test_a_header_in_either_scheme_and_any_case(self, stage: Stage, scheme: str) -> None:
        with stage.client.websocket_connect(PATH, headers={"Authorization": f"{scheme} {STATIC_KEY}"}) as socket:
            assert socket.accepted_subprotocol is None

    @pytest.mark.parametrize(
        ("offered", "answered"),
        [
            (["token", STATIC_KEY], "token"),
            (["Token", STATIC_KEY], "Token"),
            (["bearer", STATIC_KEY], "bearer"),
            (["BEARER", STATIC_KEY], "BEARER"),
            (["token", STATIC_KEY, "x-deepgram-session-id", "0e4c9ad1-54e0-4c3b-8e0b-9d3c3a1b2f00"], "token"),
            (["chat", "token", STATIC_KEY, "x-deepgram-session-id", "0e4c9ad1"], "token"),
        ],
    )
    def test_subprotocols_as_browsers_send_them(self, stage: Stage, offered: list[str], answered: str) -> None:
        """Exactly one of those offered is answered, and never the secret (contract 1.1)."""
        with stage.client.websocket_connect(PATH, subprotocols=offered, headers=_without_key(stage)) as socket:
            assert socket.accepted_subprotocol == answered

    def test_a_header_beside_foreign_subprotocols(self, stage: Stage) -> None:
        with stage.client.websocket_connect(PATH, subprotocols=["chat"]) as socket:
            assert socket.accepted_subprotocol == "chat"

    @pytest.mark.parametrize(
        "given",
        [
            {"headers": {"Authorization": "Token " + "0" * 40}},
            {"headers": {"Authorization": f"Basic {STATIC_KEY}"}},
            {"headers": {"Authorization": "Token"}},
            {"headers": {"Authorization": f"token, {STATIC_KEY}"}},
            {"subprotocols": ["token"]},
            {"subprotocols": ["token", "0" * 40]},
            {"subprotocols": ["chat", STATIC_KEY]},
            {},
        ],
    )
    def test_others_are_told_401(self, stage: Stage, given: dict[str, Any]) -> None:
        given = given if "headers" in given else given | {"headers": _without_key(stage)}
        body = refused(stage, PATH, 401, **given)
        assert body["err_code"] == "INVALID_AUTH"
        assert body["err_msg"] == "Invalid credentials."

    def test_a_key_without_the_scope_is_told_so(self, stage: Stage) -> None:
        _, secret = stage.accounts.create("reader", scopes=("usage:read",))
        body = refused(stage, PATH, 401, headers={"Authorization": f"Token {secret}"})
        assert body["err_code"] == "INSUFFICIENT_PERMISSIONS"

    def test_without_keys_any_key_will_do(self, tmp_path: Path) -> None:
        with staged(tmp_path, auth=False) as stage:
            for given in ({"headers": NOBODY}, {"subprotocols": ["token", "x"]}, {"headers": {"Authorization": "Basic x"}}):
                with stage.client.websocket_connect(PATH, **given):
                    pass


def _without_key(stage: Stage) -> dict[str, str]:
    """No headers: the client's own credential would win over subprotocols."""
    stage.client.headers.pop("Authorization", None)
    return {}


class TestParameters:
    @pytest.mark.parametrize(
        ("query", "culprit"),
        [
            ("encoding=linear16", "sample_rate"),
            ("sample_rate=16000", "encoding"),
            ("encoding=mp5&sample_rate=16000", "encoding"),
            (f"{RAW}&interim_results=maybe", "interim_results"),
            (f"{RAW}&endpointing=soon", "endpointing"),
            (f"{RAW}&utterance_end_ms=1s", "utterance_end_ms"),
            (f"{RAW}&channels=0", "channels"),
            (f"{RAW}&channels=99", "channels"),
            ("encoding=linear16&sample_rate=10", "sample_rate"),
            ("encoding=opus&sample_rate=48000&channels=3", "channels"),
            (f"{RAW}&extra=x", "extra"),
        ],
    )
    def test_an_unusable_one_is_named(self, stage: Stage, query: str, culprit: str) -> None:
        body = refused(stage, f"/v1/listen?{query}", 400)
        assert body["err_code"] == "INVALID_QUERY_PARAMETER"
        assert culprit in body["err_msg"]

    def test_an_encoding_that_no_decoder_here_reads_is_refused(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("app.audio.live_opening.has_decoder", lambda codec: codec != "g729")
        body = refused(stage, "/v1/listen?encoding=g729&sample_rate=8000", 400)
        assert "g729" in body["err_msg"]

    @pytest.mark.parametrize("query", ["model=no-such-model", "language=taq", "language=xx", "language=sv"])
    def test_an_unknown_model_or_language_is_400_not_404(self, stage: Stage, query: str) -> None:
        body = refused(stage, f"{PATH}&{query}", 400)
        assert (body["err_code"], body["err_msg"]) == (
            "Bad Request",
            "Bad Request: No such model/language/tier combination found.",
        )

    def test_a_query_that_is_too_long_is_414(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_query_bytes=2048) as stage:
            refused(stage, f"{PATH}&keyterm=" + "x" * 3000, 414)

    def test_names_of_other_parameters_are_no_error(self, stage: Stage) -> None:
        query = f"{RAW}&interim_results=True&keyterm=a+b&keyterm=c%20d&no_such_thing=1&paragraphs=true&summarize=v2"
        assert converse(stage.client, query, [CLOSE]).code == 1000


class TestPaths:
    @pytest.mark.parametrize("path", ["/v1/listen/", "//v1/listen", "/v1//listen//"])
    def test_slashes_too_many_are_mended(self, stage: Stage, path: str) -> None:
        with stage.client.websocket_connect(f"ws://testserver{path}?{RAW}"):
            pass

    @pytest.mark.parametrize("path", ["/v2/listen", "/v1/speak", "/v1/agent", "/", "/v1/listen/more", "/health"])
    def test_others_are_404_in_json(self, stage: Stage, path: str) -> None:
        refused(stage, path, 404)


class TestAnswer:
    def test_headers_name_request_project_and_model(self, stage: Stage) -> None:
        with stage.client.websocket_connect(PATH) as socket:
            headers = {name.decode(): value.decode() for name, value in socket.extra_headers or ()}
            send(socket, CLOSE)
            metadata = read_to_the_end(socket).metadata
        assert headers["dg-request-id"] == metadata["request_id"]
        assert UUID(headers["dg-project-id"])
        assert headers["dg-model-name"] == "selftest"
        assert [headers["dg-model-uuid"]] == metadata["models"]

    def test_nothing_is_said_before_the_client_says_something(self, stage: Stage) -> None:
        assert converse(stage.client, RAW, [CLOSE]).kinds == ["Metadata"]


class TestAdmission:
    def test_no_more_than_the_limit_at_once(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_streams=2) as stage:
            live = stage.app.state.services.live
            with stage.client.websocket_connect(PATH):
                with stage.client.websocket_connect(PATH) as second:
                    answer = refusal(stage.client, PATH)
                    assert answer.status_code == 429
                    assert json.loads(answer.content)["err_code"] == "TOO_MANY_REQUESTS"
                    assert int(answer.headers["Retry-After"]) >= 1
                    assert live.active == 2
                    send(second, CLOSE)
                    assert read_to_the_end(second).code == 1000
                assert live.active == 1
                assert converse(stage.client, RAW, [CLOSE]).code == 1000
            assert live.active == 0

    @pytest.mark.parametrize(
        ("query", "sent", "code"),
        [
            (RAW, [tone(0.5), CLOSE], 1000),
            (RAW, [b""], 1000),
            ("", [bytes(range(256)) * 200], 1008),
            (RAW, [tone(0.1)], 1011),  # then silence
        ],
    )
    def test_a_permit_comes_back_however_a_stream_ends(
        self, tmp_path: Path, query: str, sent: list[bytes | str], code: int
    ) -> None:
        with staged(tmp_path, max_streams=1, stream_idle_timeout_s=0.2) as stage:
            for _ in range(2):
                assert converse(stage.client, query, sent).code == code
            assert stage.pool.started == stage.pool.ended

    def test_a_permit_comes_back_when_the_client_just_goes(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_streams=1) as stage:
            for _ in range(2):
                with stage.client.websocket_connect(PATH) as socket:
                    send(socket, tone(1.0))
            assert stage.app.state.services.live.active == 0

    def test_a_hundred_at_once_are_served_or_refused(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_streams=60) as stage, ExitStack() as open_sessions:
            sessions = []
            for _ in range(100):
                with suppress(WebSocketDenialResponse):
                    sessions.append(open_sessions.enter_context(stage.client.websocket_connect(PATH)))
            assert len(sessions) == 60
            for session in sessions:
                send(session, tone(1.0), CLOSE)
            talks = [read_to_the_end(session) for session in sessions]
            assert [(talk.code, talk.text) for talk in talks] == [(1000, "hello world how")] * 60

    def test_a_server_that_is_stopping_takes_no_more(self, stage: Stage) -> None:
        with stage.client.websocket_connect(PATH) as socket:
            portal = stage.client.portal
            assert portal is not None
            send(socket, tone(1.0))
            send(socket, '{"type":"Configure"}')  # answered in order: the audio has been heard
            assert socket.receive_json()["type"] == "ConfigureSuccess"
            portal.call(stage.app.state.services.live.drain, 30.0)
            talk = read_to_the_end(socket)
            assert talk.text == "hello world how"
            assert talk.kinds == ["Results", "Metadata"]
            assert talk.code == 1001
        answer = refusal(stage.client, PATH)
        assert answer.status_code == 503
        assert json.loads(answer.content)["err_msg"] == "Please try again later"
        assert int(answer.headers["Retry-After"]) >= 1

    def test_refusals_are_counted_by_status(self, stage: Stage) -> None:
        refusal(stage.client, PATH, headers={"Authorization": "Token wrong"})
        converse(stage.client, RAW, [tone(2.0), CLOSE])
        shown = stage.client.get("/metrics").text
        assert 'engine_requests_total{kind="stream",response_status="401"} 1.0' in shown
        assert 'engine_requests_total{kind="stream",response_status="101"} 1.0' in shown
        assert "whisperapi_audio_seconds_total 2.0" in shown
