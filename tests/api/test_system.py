"""Models, health, metrics, documentation."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from app.engines.scripted import ScriptedPool
from tests.support.app import Stage, staged

CLIP = (Path(__file__).parents[1] / "audio" / "hello-world.wav").read_bytes()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, notices=("The self-test model serves.",)) as running:
        running.client.headers.pop("authorization")
        yield running


def test_the_model_list_is_deepgrams_and_openais(stage: Stage) -> None:
    body = stage.client.get("/v1/models").json()
    assert body["tts"] == []
    assert set(body["stt"][0]) == {
        "name", "canonical_name", "architecture", "languages", "version", "uuid", "batch", "streaming", "formatted_output"
    }  # fmt: skip
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == [model["name"] for model in body["stt"]]
    assert all(set(model) == {"id", "object", "created", "owned_by"} for model in body["data"])


def test_a_body_with_the_model_list_is_ignored(stage: Stage) -> None:
    assert stage.client.request("GET", "/v1/models", json={"include_outdated": False}).status_code == 200


def test_a_model_is_found_by_uuid_and_by_name_and_can_be_asked_for_by_both(stage: Stage) -> None:
    model = stage.client.get("/v1/models").json()["stt"][0]
    assert UUID(model["uuid"])
    for name in (model["uuid"], model["name"]):
        assert stage.client.get(f"/v1/models/{name}").json()["canonical_name"] == model["name"]
        answer = stage.client.post(
            f"/v1/listen?model={name}", content=CLIP, headers={"Authorization": "Token the-static-key"}
        )
        assert answer.json()["metadata"]["models"] == [model["uuid"]]


def test_health_says_which_model_serves_and_what_is_wrong_with_that(stage: Stage) -> None:
    body = stage.client.get("/health").json()
    assert body["status"] == "ok"
    assert body["default_model"] == "selftest"
    assert body["warnings"] == ["The self-test model serves."]
    assert body["models"] == [{"name": "selftest", "workers": 1}]


def test_ready_while_a_model_is_up(stage: Stage) -> None:
    assert stage.client.get("/ready").status_code == 200


def test_not_ready_without_a_worker_or_while_stopping(tmp_path: Path) -> None:
    with staged(tmp_path, ScriptedPool(workers=0)) as stage:
        assert stage.client.get("/ready").status_code == 503
    with staged(tmp_path) as stage:
        stage.app.state.services.transcriber.stopping = True
        assert stage.client.get("/ready").status_code == 503
        answer = stage.client.post("/v1/listen", content=CLIP)
        assert (answer.status_code, answer.json()["err_code"]) == (503, "Service Unavailable")


def test_metrics_count_requests_and_audio(stage: Stage) -> None:
    stage.client.post("/v1/listen", content=CLIP, headers={"Authorization": "Token the-static-key"})
    text = stage.client.get("/metrics").text
    assert "whisperapi_audio_seconds_total 1.30" in text
    assert "engine_batch_response_time_seconds_count 1.0" in text
    assert 'engine_requests_total{kind="batch",response_status="200"} 1.0' in text
    assert 'engine_active_requests{kind="batch"} 0.0' in text


def test_the_documentation_needs_no_other_host(stage: Stage) -> None:
    page = stage.client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text.replace("https://fastapi.tiangolo.com", "")
    for asset in ("/static-offline-docs/swagger-ui-bundle.js", "/static-offline-docs/swagger-ui.css"):
        assert asset in page.text
        assert stage.client.get(asset).status_code == 200


def test_the_schema_describes_what_listen_takes(stage: Stage) -> None:
    operation = stage.client.get("/openapi.json").json()["paths"]["/v1/listen"]["post"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {"model", "punctuate", "utt_split", "response_format"} <= names
    assert "application/octet-stream" in operation["requestBody"]["content"]
