"""Every error of every route has one shape: a JSON object with ``err_code``, ``err_msg`` and ``request_id``, which is equal
to the header ``dg-request-id``, and the message again, in one line of ASCII, in ``dg-error`` (contract 1.3, 2.9)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engines.scripted import ScriptedEngine, ScriptedPool
from tests.support.app import Stage, staged

CLIP = (Path(__file__).parents[1] / "audio" / "hello-world.wav").read_bytes()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def check_shape(answer: Any) -> None:
    body = answer.json()
    assert set(body) >= {"err_code", "err_msg", "request_id"}
    assert body["request_id"] == answer.headers["dg-request-id"]
    assert answer.headers["dg-error"].isascii()
    assert "\n" not in answer.headers["dg-error"]
    assert answer.headers["content-type"] == "application/json"
    assert "detail" not in body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/v1/speak", 404),
        ("POST", "/v1/read", 404),
        ("POST", "/v2/listen", 404),
        ("GET", "/v1/listen", 405),
        ("DELETE", "/v1/listen", 405),
        ("GET", "/v1/models/nothing", 404),
        ("GET", "/v1/models/a/b/c", 404),
        ("POST", "/v1/listen?punctuate=perhaps", 400),
        ("POST", "/v1/listen?sample_rate=x", 400),
        ("POST", "/v1/listen?model=unheard-of", 400),
        ("POST", "/v1/listen?language=qq", 400),
        ("POST", "/v1/listen?language=it", 400),
        ("POST", "/v1/listen?detect_language=it", 400),
    ],
)
def test_errors_have_deepgrams_shape(stage: Stage, method: str, path: str, status: int) -> None:
    answer = stage.client.request(method, path, content=CLIP if method == "POST" else None)
    assert answer.status_code == status
    check_shape(answer)


def test_unknown_models_and_languages_are_400_with_deepgrams_words(stage: Stage) -> None:
    answer = stage.client.post("/v1/listen?model=unheard-of", content=CLIP)
    assert answer.json()["err_msg"].startswith("Bad Request: No such model/language/tier combination found.")


def test_405_says_what_is_allowed(stage: Stage) -> None:
    assert stage.client.get("/v1/listen").headers["allow"] == "POST"


@pytest.mark.parametrize(
    "header",
    [None, "", "Token", "Token ", "Basic abc", "Token wrong", "Bearer wrong", "the-static-key", "Token " + "a" * 40],
)
def test_bad_credentials_are_all_alike(stage: Stage, header: str | None) -> None:
    stage.client.headers.pop("authorization")
    answer = stage.client.post("/v1/listen", content=CLIP, headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["err_code"] == "INVALID_AUTH"
    assert answer.json()["err_msg"] == "Invalid credentials."
    assert "dg-project-id" not in answer.headers
    check_shape(answer)


def test_a_key_without_the_scope_is_refused(stage: Stage) -> None:
    _, secret = stage.accounts.create("reader", ["usage:read"])
    answer = stage.client.post("/v1/listen", content=CLIP, headers={"Authorization": f"Token {secret}"})
    assert (answer.status_code, answer.json()["err_code"]) == (401, "INSUFFICIENT_PERMISSIONS")
    check_shape(answer)


def test_a_revoked_key_stops_working(stage: Stage) -> None:
    key, secret = stage.accounts.create("short-lived")
    headers = {"Authorization": f"Token {secret}"}
    assert stage.client.post("/v1/listen", content=CLIP, headers=headers).status_code == 200
    stage.accounts.revoke(key.key_id)
    assert stage.client.post("/v1/listen", content=CLIP, headers=headers).status_code == 401


def test_the_key_is_checked_before_the_parameters(stage: Stage) -> None:
    answer = stage.client.post("/v1/listen?punctuate=perhaps", headers={"Authorization": "Token wrong"})
    assert answer.status_code == 401


def test_what_nobody_foresaw_is_a_500_that_tells_nothing(tmp_path: Path) -> None:
    pool = ScriptedPool(ScriptedEngine(failures=[RuntimeError("a secret detail")] * 2))
    with staged(tmp_path, pool) as stage:
        answer = stage.client.post("/v1/listen", content=CLIP)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        check_shape(answer)
        assert pool.admitted == 0
        pool.engine.failures.clear()
        assert stage.client.post("/v1/listen", content=CLIP).status_code == 200


def test_preflights_need_no_key_and_name_what_browsers_may_send(stage: Stage) -> None:
    stage.client.headers.pop("authorization")
    answer = stage.client.options(
        "/v1/listen",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,x-deepgram-session-id,x-fern-language",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "x-fern-language" in answer.headers["access-control-allow-headers"]
    assert "dg-request-id" in answer.headers


def test_browsers_may_read_our_headers(stage: Stage) -> None:
    answer = stage.client.post("/v1/listen", content=CLIP, headers={"Origin": "https://app.example"})
    assert "dg-error" in answer.headers["access-control-expose-headers"]
    assert "dg-request-id" in answer.headers["access-control-expose-headers"]
