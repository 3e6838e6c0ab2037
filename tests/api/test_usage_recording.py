"""Each request for transcription is on record when its answer is complete, whatever its dialect; nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession

from app.domain.project import PROJECT_ID
from app.domain.usage import Method, UsageFilter, UsageRecord
from tests.support.app import Stage, staged

OURS = f"/v1/projects/{PROJECT_ID}"
AUDIO = Path(__file__).parents[1] / "audio"
WAV = (AUDIO / "hello-world.wav").read_bytes()
STEREO = (AUDIO / "stereo-one-speaker-per-channel.wav").read_bytes()
LIVE = "/v1/listen?encoding=linear16&sample_rate=16000"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as found:
        yield found


def records(stage: Stage) -> list[UsageRecord]:
    return list(stage.usage.page(UsageFilter(), 1000))


def only(stage: Stage) -> UsageRecord:
    (record,) = records(stage)
    return record


def ask(stage: Stage, path: str, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = stage.client.get(f"{OURS}{path}", params=query).json()
    return found


def read_to_the_end(socket: WebSocketTestSession) -> None:
    while socket.receive()["type"] != "websocket.close":
        pass


def test_a_recording_with_all_that_is_kept_of_it(stage: Stage) -> None:
    key, secret = stage.accounts.create("laptop")
    answer = stage.client.post(
        "/v1/listen?model=nova-3&multichannel=true&smart_format=true&tag=a&tag=b&keyterm=Project+X&search=secret&extra=k:v",
        content=STEREO,
        headers={"Authorization": f"Token {secret}"},
    )
    record = only(stage)
    metadata = answer.json()["metadata"]
    assert record.request_id == metadata["request_id"]
    assert (record.code, record.method, record.key_id, record.tags) == (200, Method.SYNC, key.key_id, ("a", "b"))
    assert record.audio_s == pytest.approx(metadata["duration"], abs=0.001)
    assert (record.channels, record.model_uuid, record.language) == (2, metadata["models"][0], "en")
    assert {"multichannel", "smart_format", "keyterm", "search"} <= set(record.features)
    assert record.path == "/v1/listen?model=nova-3&multichannel=true&smart_format=true&tag=a&tag=b"
    assert record.completed is not None


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [("", b"no audio", 400), ("?punctuate=maybe", WAV, 400), ("?model=no-such", WAV, 400)],
)
def test_a_refused_request_counts_as_failed_and_as_no_sound(stage: Stage, query: str, body: bytes, code: int) -> None:
    stage.client.post(f"/v1/listen{query}", content=body)
    assert (only(stage).code, only(stage).audio_s) == (code, 0.0)


def test_nobodys_requests_and_other_routes_are_not_recorded(stage: Stage) -> None:
    stage.client.post("/v1/listen", content=WAV, headers={"Authorization": "Token nobody"})
    _, weak = stage.accounts.create("reader", ("usage:read",))
    stage.client.post("/v1/listen", content=WAV, headers={"Authorization": f"Token {weak}"})
    stage.client.get("/v1/models")
    stage.client.get(OURS)
    stage.client.post("/v1/auth/grant")
    assert records(stage) == []


def test_openais_requests_are_recorded_like_any_other(stage: Stage) -> None:
    form = {"model": "whisper-1"}
    stage.client.post("/v1/audio/transcriptions", files={"file": ("a.wav", WAV)}, data=form)
    whole = only(stage)
    assert (whole.path, whole.code) == ("/v1/audio/transcriptions", 200)
    assert whole.audio_s == pytest.approx(1.303, abs=0.01)


def test_an_answer_that_streams_is_recorded_before_its_end(stage: Stage) -> None:
    form = {"model": "gpt-4o-transcribe", "stream": "true"}
    answer = stage.client.post("/v1/audio/transcriptions", files={"file": ("a.wav", WAV)}, data=form)
    assert "transcript.text.done" in answer.text
    assert only(stage).audio_s == pytest.approx(1.303, abs=0.01)


def test_a_part_of_a_recording_counts_as_the_part(stage: Stage) -> None:
    stage.client.post("/v1/listen?start=0.5&duration=0.4", content=WAV)
    assert only(stage).audio_s == pytest.approx(0.4, abs=0.001)


def test_a_stream_is_on_record_before_its_close_arrives(stage: Stage) -> None:
    with stage.client.websocket_connect(f"{LIVE}&channels=2&multichannel=true&interim_results=true&tag=live") as socket:
        begun = only(stage)
        assert (begun.method, begun.completed, begun.code) == (Method.STREAMING, None, None)
        socket.send_bytes(bytes(64_000))
        socket.send_json({"type": "CloseStream"})
        read_to_the_end(socket)
        record = only(stage)
    assert (record.code, record.audio_s, record.channels, record.tags) == (200, 1.0, 2, ("live",))
    assert {"interim_results", "multichannel"} <= set(record.features)


def test_a_stream_of_no_audio_fails_on_record(stage: Stage) -> None:
    with stage.client.websocket_connect("/v1/listen") as socket:
        socket.send_bytes(b"this is text and nothing else " * 400)
        socket.send_json({"type": "CloseStream"})
        read_to_the_end(socket)
    assert only(stage).code == 400


def test_a_refused_handshake_is_recorded(stage: Stage) -> None:
    with pytest.raises(WebSocketDenialResponse), stage.client.websocket_connect("/v1/listen?model=no-such"):
        pass
    assert (only(stage).code, only(stage).method) == (400, Method.STREAMING)


def test_with_no_days_to_keep_nothing_is_recorded(tmp_path: Path) -> None:
    with staged(tmp_path, usage_keep_days=0) as forgetful:
        assert forgetful.client.post("/v1/listen", content=WAV).status_code == 200
        assert records(forgetful) == []


def test_a_server_without_keys_records_requests_of_nobody(tmp_path: Path) -> None:
    with staged(tmp_path, auth=False) as open_stage:
        open_stage.client.post("/v1/listen", content=WAV)
        assert only(open_stage).key_id == ""


class TestWhatIsShown:
    @pytest.fixture(autouse=True)
    def _requests(self, stage: Stage) -> None:
        for query in ("?tag=a&tag=b&smart_format=true", "?tag=a", "?tag=c&punctuate=maybe"):
            stage.client.post(f"/v1/listen{query}", content=WAV)

    def test_the_list_pages_and_filters(self, stage: Stage) -> None:
        everything = ask(stage, "/requests")
        assert (everything["page"], everything["limit"], len(everything["requests"])) == (0, 10, 3)
        pages = [ask(stage, "/requests", limit=2, page=page)["requests"] for page in range(3)]
        assert [len(page) for page in pages] == [2, 1, 0]
        assert pages[0] + pages[1] == everything["requests"]
        assert len(ask(stage, "/requests", status="succeeded")["requests"]) == 2
        assert len(ask(stage, "/requests", status="failed")["requests"]) == 1
        for nothing in ({"deployment": "hosted"}, {"endpoint": "speak"}, {"method": "streaming"}, {"end": "2020-01-01"}):
            assert ask(stage, "/requests", **nothing)["requests"] == []

    def test_one_request_is_shown_in_both_forms(self, stage: Stage) -> None:
        listed = ask(stage, "/requests")["requests"][0]
        one = ask(stage, f"/requests/{listed['request_id']}")
        assert one == listed | {"request": listed}
        assert listed["deployment"] == "self-hosted"
        assert set(listed["response"]) == {"details", "code", "completed"}

    @pytest.mark.parametrize(
        "query",
        [{"limit": 0}, {"limit": 1001}, {"page": -1}, {"status": "x"}, {"start": "yesterday"}, {"method": "x"}],
    )
    def test_questions_that_make_no_sense_are_a_400(self, stage: Stage, query: dict[str, str]) -> None:
        assert "err_code" in ask(stage, "/requests", **query)

    def test_sums_equal_the_requests_made(self, stage: Stage) -> None:
        day = ask(stage, "/usage")["results"][0]
        made = records(stage)
        assert day["requests"] == len(made)
        assert day["hours"] == pytest.approx(sum(record.audio_s for record in made) / 3600, abs=1e-6)
        assert ask(stage, "/usage", tag="a")["results"][0]["requests"] == 2
        assert ask(stage, "/usage", smart_format="true")["results"][0]["requests"] == 1
        assert ask(stage, "/usage", model=made[0].model_uuid)["results"] != []
        assert ask(stage, "/usage", start="2020-01-01", end="2020-01-31")["results"] == []

    @pytest.mark.parametrize(
        ("grouping", "found"),
        [
            ("tags", [(["a"], 2), (["b"], 1), (["c"], 1)]),
            ("method", [("sync", 3)]),
            ("endpoint", [("listen", 3)]),
            ("deployment", [("self-hosted", 3)]),
            ("accessor", [("00000000-0000-0000-0000-000000000000", 3)]),
        ],
    )
    def test_they_are_broken_down_by_what_is_asked(self, stage: Stage, grouping: str, found: list[Any]) -> None:
        results = ask(stage, "/usage/breakdown", grouping=grouping)["results"]
        assert [(result["grouping"][grouping], result["requests"]) for result in results] == found

    def test_the_fields_are_what_occurs(self, stage: Stage) -> None:
        fields = ask(stage, "/usage/fields")
        assert (fields["tags"], fields["processing_methods"], fields["languages"]) == (["a", "b", "c"], ["sync"], ["en"])
        assert fields["models"][0]["name"] == "selftest"
        assert "smart_format" in fields["features"]


def test_the_status_tells_how_the_last_requests_went(stage: Stage) -> None:
    def health() -> str:
        return str(stage.client.get("/v1/status").json()["system_health"])

    recent = stage.app.state.services.usage_log.recent
    recent.clear()
    assert health() == "Ready"
    recent.extend([True] * 19 + [False])
    assert health() == "Healthy"
    recent.extend([False] * 10)
    assert health() == "Degraded"
    recent.extend([False] * 60)
    assert health() == "Critical"
    assert stage.client.get("/v1/status/engine").content.startswith(b'{"engine_connection_status":"Connected"')
