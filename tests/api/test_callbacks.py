"""``POST /v1/listen`` with a callback (contract 2.8)."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import pytest

from app.domain.errors import RemoteContentError
from app.domain.jobs import Job, JobState
from app.domain.ports import JobClass
from app.engines.scripted import ScriptedEngine, ScriptedPool, say
from app.services.accounts import STATIC_KEY_ID
from tests.support.app import SPEECH, Stage, staged
from tests.support.callback_receiver import Receiver, receiver
from tests.support.clips import AUDIO

CLIP = (AUDIO / "hello-world.wav").read_bytes()
HEARD = "Hello world. How are"
LOCAL: dict[str, Any] = {"callback_allow": "127.0.0.1", "callback_retry_s": 0}


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, **LOCAL) as running:
        yield running


def ask(stage: Stage, callback: str, extra: str = "", **request: Any) -> Any:
    given = {"content": CLIP} | request
    return stage.client.post(f"/v1/listen?callback={quote(callback, safe='')}&punctuate=true{extra}", **given)


def job_of(stage: Stage, answer: Any) -> Job:
    return stage.app.state.services.jobs.find(answer.json()["request_id"])  # type: ignore[no-any-return]


def ended(stage: Stage, answer: Any) -> Job:
    """The job once it is over."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        job = job_of(stage, answer)
        if job.finished is not None:
            return job
        time.sleep(0.01)
    raise AssertionError("the job did not end")


def kept_files(folder: Path) -> list[str]:
    return [path.name for path in (folder / "jobs").iterdir()]


class TestAnswer:
    def test_is_the_id_alone_at_once_and_the_transcript_comes_later(self, stage: Stage, hook: Receiver) -> None:
        answer = ask(stage, hook.url(), "&tag=a&extra=k:v")
        assert answer.status_code == 200
        request_id = answer.headers["dg-request-id"]
        assert answer.json() == {"request_id": request_id}
        assert answer.headers["dg-project-id"]
        assert answer.headers["dg-model-name"] == "selftest"
        delivery = hook.next()
        assert delivery.method == "POST"
        assert delivery.path == "/hook"
        assert delivery.headers["content-type"] == "application/json"
        assert delivery.headers["dg-request-id"] == request_id
        assert delivery.headers["dg-token"] == STATIC_KEY_ID
        metadata = delivery.json["metadata"]
        assert metadata["request_id"] == request_id
        assert metadata["sha256"] == hashlib.sha256(CLIP).hexdigest()
        assert (metadata["tags"], metadata["extra"]) == (["a"], {"k": "v"})
        assert delivery.json["results"]["channels"][0]["alternatives"][0]["transcript"] == HEARD

    def test_is_what_the_same_request_gets_without_a_callback(self, stage: Stage, hook: Receiver) -> None:
        direct = stage.client.post("/v1/listen?punctuate=true&utterances=true&smart_format=true", content=CLIP).json()
        ask(stage, hook.url(), "&utterances=true&smart_format=true")
        delivered = hook.next().json
        for body in (direct, delivered):
            for key in ("request_id", "created"):
                del body["metadata"][key]
            for utterance in body["results"]["utterances"]:
                del utterance["id"]
        assert delivered == direct

    @pytest.mark.parametrize("method", ["put", "PUT", "Put"])
    def test_is_put_where_that_is_asked_for(self, stage: Stage, hook: Receiver, method: str) -> None:
        ask(stage, hook.url(), f"&callback_method={method}")
        assert hook.next().method == "PUT"

    def test_takes_user_and_password_from_the_url_into_the_header(self, stage: Stage, hook: Receiver) -> None:
        answer = ask(stage, hook.url("/hook?a=b", user="me:p%40ss"))
        delivery = hook.next()
        assert delivery.headers["authorization"] == "Basic bWU6cEBzcw=="
        assert delivery.path == "/hook?a=b"
        assert "@" not in delivery.headers["host"]
        assert ended(stage, answer).callback.url == "http://127.0.0.1"

    def test_may_be_captions(self, stage: Stage, hook: Receiver) -> None:
        ask(stage, hook.url(), "&response_format=vtt")
        delivery = hook.next()
        assert delivery.headers["content-type"] == "text/vtt; charset=utf-8"
        assert delivery.body.startswith(b"WEBVTT")

    def test_names_the_key_by_its_id(self, stage: Stage, hook: Receiver) -> None:
        key, secret = stage.accounts.create("laptop")
        ask(stage, hook.url(), headers={"Authorization": f"Token {secret}"})
        assert hook.next().headers["dg-token"] == key.key_id

    def test_names_no_key_where_there_are_none(self, tmp_path: Path, hook: Receiver) -> None:
        with staged(tmp_path, auth=False, **LOCAL) as stage:
            ask(stage, hook.url())
            assert "dg-token" not in hook.next().headers

    def test_may_take_longer_than_where_somebody_waits(self, tmp_path: Path, hook: Receiver) -> None:
        go_on = asyncio.Event()
        with staged(
            tmp_path, ScriptedPool(ScriptedEngine(say(SPEECH)), delay=go_on.wait), request_timeout_s=0.05, **LOCAL
        ) as stage:
            ask(stage, hook.url())
            while stage.app.state.services.jobs.counts().get(JobState.RUNNING) != 1:
                time.sleep(0.01)
            assert stage.client.post("/v1/listen", content=CLIP).status_code == 504
            assert stage.client.portal is not None
            stage.client.portal.call(go_on.set)
            assert "results" in hook.next().json

    def test_is_the_error_when_it_takes_longer_than_that(self, tmp_path: Path, hook: Receiver) -> None:
        with staged(tmp_path, ScriptedPool(delay=asyncio.Event().wait), job_timeout_s=0.05, **LOCAL) as stage:
            answer = ask(stage, hook.url())
            assert hook.next().json["err_code"] == "GATEWAY_TIMEOUT"
            assert ended(stage, answer).problem == "decode_timeout"

    def test_is_the_error_when_the_audio_is_none(self, stage: Stage, hook: Receiver) -> None:
        answer = ask(stage, hook.url(), content=b"this is a text and no sound")
        assert answer.status_code == 200
        body = hook.next().json
        assert body["err_code"] == "Bad Request"
        assert body["err_msg"].startswith("Bad Request: ")
        assert body["request_id"] == answer.json()["request_id"]
        job = ended(stage, answer)
        assert (job.state, job.problem) == (JobState.FAILED, "bad_audio")

    def test_comes_from_a_decode_that_lets_others_go_first(self, stage: Stage, hook: Receiver) -> None:
        ask(stage, hook.url())
        hook.next()
        assert {call.job_class for call in stage.pool.calls} == {JobClass.LONG_RECORDING}


class FetcherDouble:
    """Serves one clip for one address."""

    async def fetch(self, url: str, target: BinaryIO, max_bytes: int) -> int:
        if "good" not in url:
            raise RemoteContentError
        return target.write(CLIP)


class TestAudioByUrl:
    def test_is_fetched_by_the_job(self, tmp_path: Path, hook: Receiver) -> None:
        with staged(tmp_path, fetcher=FetcherDouble(), **LOCAL) as stage:
            answer = ask(stage, hook.url(), json={"url": "https://good.example/a.wav"}, content=None)
            assert hook.next().json["metadata"]["sha256"] == hashlib.sha256(CLIP).hexdigest()
            assert ended(stage, answer).state is JobState.DONE
        assert kept_files(tmp_path) == []

    def test_that_cannot_be_fetched_is_an_error_in_the_callback(self, tmp_path: Path, hook: Receiver) -> None:
        with staged(tmp_path, fetcher=FetcherDouble(), **LOCAL) as stage:
            assert ask(stage, hook.url(), json={"url": "https://bad.example/a.wav"}, content=None).status_code == 200
            assert hook.next().json["err_code"] == "REMOTE_CONTENT_ERROR"


class TestRefusals:
    @pytest.mark.parametrize(
        "url",
        [
            "example.com/hook",
            "ftp://example.com/",
            "ws://example.com/",
            "http://",
            "http://[x",
            "http://e.com:99999/",
            "x y",
        ],
    )
    def test_what_is_no_url_of_http(self, stage: Stage, url: str) -> None:
        answer = ask(stage, url)
        assert answer.status_code == 400
        assert answer.json()["err_code"] == "Bad Request"
        assert answer.json()["err_msg"] == "Invalid query string."

    @pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://[::1]:80/", "http://2130706433/", "http://localhost:9/"])
    def test_private_addresses(self, tmp_path: Path, url: str) -> None:
        with staged(tmp_path, fetch_allow="10.0.0.1,127.0.0.1,::1,localhost") as stage:
            answer = ask(stage, url)
            assert answer.status_code == 400
            assert answer.json()["err_code"] == "REMOTE_CONTENT_ERROR"
            assert answer.json()["err_msg"] == "The URL of the callback is not publicly routable."
            assert stage.app.state.services.jobs.list() == []

    def test_an_unknown_method(self, stage: Stage, hook: Receiver) -> None:
        answer = ask(stage, hook.url(), "&callback_method=DELETE")
        assert answer.status_code == 400
        assert answer.json()["err_code"] == "INVALID_QUERY_PARAMETER"
        assert "callback_method" in answer.json()["err_msg"]

    @pytest.mark.parametrize("extra", ["&model=nobody", "&language=taq", "&utt_split=x", "&detect_language=xx"])
    def test_parameters_are_checked_at_once(self, stage: Stage, hook: Receiver, extra: str) -> None:
        assert ask(stage, hook.url(), extra).status_code == 400

    def test_a_missing_key(self, stage: Stage, hook: Receiver) -> None:
        assert ask(stage, hook.url(), headers={"Authorization": "Token nobody"}).status_code == 401

    @pytest.mark.parametrize(
        "given",
        [
            {"content": b""},
            {"content": b"{}", "headers": {"content-type": "application/json"}},
            {"content": rb'{"url": "http://a.example/\ud800"}', "headers": {"content-type": "application/json"}},
        ],
    )
    def test_a_body_without_audio(self, stage: Stage, hook: Receiver, tmp_path: Path, given: dict[str, Any]) -> None:
        assert ask(stage, hook.url(), **given).status_code == 400
        assert kept_files(tmp_path) == []

    def test_more_jobs_than_allowed(self, tmp_path: Path, hook: Receiver) -> None:
        hook.hold.clear()
        with staged(tmp_path, max_jobs=1, **LOCAL) as stage:
            first = ask(stage, hook.url())
            second = ask(stage, hook.url())
            assert (first.status_code, second.status_code) == (200, 429)
            assert second.headers["retry-after"] == "60"
            hook.hold.set()
            ended(stage, first)
            assert ask(stage, hook.url()).status_code == 200

    def test_more_audio_than_allowed_leaves_no_file(self, tmp_path: Path, hook: Receiver) -> None:
        with staged(tmp_path, max_job_bytes=len(CLIP) - 1, **LOCAL) as stage:
            assert ask(stage, hook.url()).status_code == 429
        assert kept_files(tmp_path) == []

    def test_a_disk_that_takes_nothing(self, tmp_path: Path, hook: Receiver) -> None:
        (tmp_path / "jobs").write_text("a file where a folder should be")
        with staged(tmp_path, **LOCAL) as stage:
            answer = ask(stage, hook.url())
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text


class TestDelivery:
    def test_is_tried_until_it_is_taken(self, stage: Stage) -> None:
        with receiver([500, 302]) as hook:
            answer = ask(stage, hook.url())
            tries = [hook.next() for _ in range(3)]
            assert {delivery.path for delivery in tries} == {"/hook"}
            assert len({delivery.body for delivery in tries}) == 1
            job = ended(stage, answer)
            assert (job.state, job.deliveries) == (JobState.DONE, 2)
            assert hook.received.empty()
        assert len(stage.pool.engine.calls) == 1

    def test_is_given_up_after_the_last_try_and_can_be_begun_again(self, tmp_path: Path) -> None:
        with receiver([500, 500, 500]) as hook, staged(tmp_path, callback_retries=2, **LOCAL) as stage:
            answer = ask(stage, hook.url())
            job = ended(stage, answer)
            assert (job.state, job.problem) == (JobState.FAILED, "undeliverable")
            assert hook.received.qsize() == 3
            stage.app.state.services.jobs.retry(job.job_id)
            for _ in range(4):
                last = hook.next()
            assert last.json["metadata"]["request_id"] == job.job_id
            assert ended(stage, answer).state is JobState.DONE
        assert len(stage.pool.engine.calls) == 1

    def test_fails_where_nobody_listens(self, tmp_path: Path) -> None:
        with receiver() as gone:
            url = gone.url()
        with staged(tmp_path, callback_retries=1, **LOCAL) as stage:
            assert ended(stage, ask(stage, url)).problem == "undeliverable"

    def test_leaves_neither_audio_nor_words_behind(self, tmp_path: Path, hook: Receiver) -> None:
        with staged(tmp_path, **LOCAL) as stage:
            job = ended(stage, ask(stage, hook.url("/hook?token=hunter2"), "&keyterm=hunter2"))
            assert "hunter2" not in repr(job)
        assert kept_files(tmp_path) == []

    def test_is_counted(self, stage: Stage) -> None:
        with receiver([500]) as hook:
            ended(stage, ask(stage, hook.url()))
        shown = stage.client.get("/metrics").text
        assert 'whisperapi_callback_deliveries_total{result="failed"} 1.0' in shown
        assert 'whisperapi_callback_deliveries_total{result="delivered"} 1.0' in shown
        assert 'whisperapi_jobs{state="done"} 1.0' in shown
        assert 'whisperapi_jobs{state="queued"} 0.0' in shown

    def test_a_store_that_is_away_hides_no_other_metric(self, stage: Stage) -> None:
        stage.app.state.services.jobs.store.is_down = True
        shown = stage.client.get("/metrics")
        assert shown.status_code == 200
        assert "engine_requests" in shown.text
        stage.app.state.services.jobs.store.is_down = False


class TestCancelling:
    def test_a_running_job_stops_and_its_callback_hears_nothing(self, tmp_path: Path, hook: Receiver) -> None:
        begun = threading.Event()

        async def hang() -> None:
            begun.set()
            await asyncio.Event().wait()

        gate = ScriptedPool(ScriptedEngine(say(SPEECH)), delay=hang)
        with staged(tmp_path, pool=gate, **LOCAL) as stage:
            answer = ask(stage, hook.url())
            assert begun.wait(60)
            stage.app.state.services.jobs.cancel(answer.json()["request_id"])
            end = time.monotonic() + 60
            while gate.admitted and time.monotonic() < end:
                time.sleep(0.01)
            assert gate.admitted == 0
            assert job_of(stage, answer).state is JobState.CANCELLED
        assert hook.received.empty()
        assert kept_files(tmp_path) == []
