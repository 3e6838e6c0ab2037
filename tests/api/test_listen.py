"""``POST /v1/listen`` from the outside: bodies, parameters, headers (contract 2)."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import pytest
from starlette.types import Message

from app.domain.errors import RemoteContentError
from app.engines.scripted import ScriptedEngine, ScriptedPool, say
from tests.support.app import SPEECH, STATIC_KEY, Stage, staged
from tests.support.asgi import body, call

CLIP = (Path(__file__).parents[1] / "audio" / "hello-world.wav").read_bytes()
HEARD = "Hello world. How are"
"""What the script says within the clip's 1.3 seconds."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def transcript(answer: Any) -> str:
    return str(answer.json()["results"]["channels"][0]["alternatives"][0]["transcript"])


class TestBodies:
    @pytest.mark.parametrize(
        "content_type",
        [
            "audio/wav",
            "application/octet-stream",
            "deepgram/audio+video",
            "application/x-www-form-urlencoded",
            "text/plain",
            "",
        ],
    )
    def test_bytes_are_audio_whatever_the_content_type(self, stage: Stage, content_type: str) -> None:
        answer = stage.client.post("/v1/listen?punctuate=true", content=CLIP, headers={"content-type": content_type})
        assert answer.status_code == 200
        assert transcript(answer) == HEARD
        assert answer.json()["metadata"]["sha256"] == hashlib.sha256(CLIP).hexdigest()

    def test_chunked_uploads_need_no_length(self, stage: Stage) -> None:
        pieces = (CLIP[i : i + 5000] for i in range(0, len(CLIP), 5000))
        answer = stage.client.post("/v1/listen", content=pieces)
        assert answer.status_code == 200
        assert answer.json()["metadata"]["sha256"] == hashlib.sha256(CLIP).hexdigest()

    def test_the_first_file_of_a_form_counts(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/listen", files={"file": ("a.wav", CLIP)}, data={"model": "x"})
        assert answer.status_code == 200
        assert answer.json()["metadata"]["sha256"] == hashlib.sha256(CLIP).hexdigest()

    def test_of_several_files_the_first_counts(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/listen", files=[("a", ("a.wav", CLIP)), ("b", ("b.wav", b"other"))])
        assert answer.json()["metadata"]["sha256"] == hashlib.sha256(CLIP).hexdigest()

    def test_a_form_without_a_file_is_refused(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/listen", files={"name": (None, "value")})
        assert answer.status_code == 400
        assert "form" in answer.json()["err_msg"]

    @pytest.mark.parametrize(
        "sent", [b"", b"{", b"[]", b"{}", b'{"url": 5}', b'"text"', b'{"url": "x"' + b" " * 70_000 + b"}"]
    )
    def test_json_must_hold_a_url(self, stage: Stage, sent: bytes) -> None:
        answer = stage.client.post("/v1/listen", content=sent, headers={"content-type": "application/json; charset=utf-8"})
        assert answer.status_code == 400
        assert answer.json()["err_msg"].startswith("Content-type was application/json, but")

    @pytest.mark.parametrize(
        "sent", [b"", b"hello, I am text", b"{not json", b"\x00" * 100, b"RIFF\x24\x00\x00\x00WAVEfmt "]
    )
    def test_what_is_no_audio_is_refused(self, stage: Stage, sent: bytes) -> None:
        answer = stage.client.post("/v1/listen", content=sent)
        assert answer.status_code == 400
        assert answer.json()["err_code"] == "Bad Request"
        assert answer.json()["err_msg"].startswith("Bad Request: ")

    def test_declared_encoding_reads_headerless_audio(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/listen?encoding=linear16&sample_rate=16000&channels=2", content=bytes(64_000))
        assert answer.json()["metadata"]["duration"] == 1.0

    def test_headerless_audio_without_a_rate_is_told_what_is_missing(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/listen?encoding=linear16", content=bytes(range(256)) * 100)
        assert answer.status_code == 400
        assert "sample_rate" in answer.json()["err_msg"]


class FetcherDouble:
    """Serves one clip for one address."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def fetch(self, url: str, target: BinaryIO, max_bytes: int) -> int:
        self.asked.append(url)
        if "good" not in url:
            raise RemoteContentError
        return target.write(CLIP)


class TestUrls:
    @pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
    def test_audio_is_fetched_and_its_digest_is_that_of_the_download(self, tmp_path: Path, content_type: str) -> None:
        fetcher = FetcherDouble()
        with staged(tmp_path, fetcher=fetcher) as stage:
            sent = json.dumps({"url": "https://good.example/a.wav"})
            answer = stage.client.post("/v1/listen", content=sent, headers={"content-type": content_type})
        assert answer.status_code == 200
        assert fetcher.asked == ["https://good.example/a.wav"]
        assert answer.json()["metadata"]["sha256"] == hashlib.sha256(CLIP).hexdigest()

    def test_a_failed_download_says_so(self, tmp_path: Path) -> None:
        with staged(tmp_path, fetcher=FetcherDouble()) as stage:
            answer = stage.client.post("/v1/listen", json={"url": "https://bad.example/"})
        assert (answer.status_code, answer.json()["err_code"]) == (400, "REMOTE_CONTENT_ERROR")

    def test_private_addresses_are_refused(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/listen", json={"url": "http://127.0.0.1:1/a.wav"})
        assert (answer.status_code, answer.json()["err_code"]) == (400, "REMOTE_CONTENT_ERROR")


class TestResponses:
    def test_headers_name_request_project_and_model(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/listen", content=CLIP)
        assert answer.headers["dg-request-id"] == answer.json()["metadata"]["request_id"]
        assert UUID(answer.headers["dg-project-id"])
        assert answer.headers["dg-model-name"] == "selftest"
        assert [answer.headers["dg-model-uuid"]] == answer.json()["metadata"]["models"]
        assert answer.headers["content-type"] == "application/json"

    def test_the_selftest_model_is_warned_of(self, stage: Stage) -> None:
        warnings = stage.client.post("/v1/listen", content=CLIP).json()["metadata"]["warnings"]
        assert [warning["type"] for warning in warnings] == ["selftest_model"]

    @pytest.mark.parametrize(
        ("asked", "media_type", "begins"),
        [
            ("srt", "application/x-subrip", "1\n00:00:00,"),
            ("vtt", "text/vtt", "WEBVTT\n\n"),
            ("text", "text/plain", "Hello"),
        ],
    )
    def test_captions_and_text(self, stage: Stage, asked: str, media_type: str, begins: str) -> None:
        answer = stage.client.post(f"/v1/listen?response_format={asked}", content=CLIP)
        assert answer.headers["content-type"].startswith(media_type)
        assert answer.text.startswith(begins)

    def test_channels_are_transcribed_apart_only_when_asked_for(self, stage: Stage) -> None:
        query = "encoding=linear16&sample_rate=16000&channels=2"
        apart = stage.client.post(f"/v1/listen?{query}&multichannel=true&utterances=true", content=bytes(64_000)).json()
        assert apart["metadata"]["channels"] == len(apart["results"]["channels"]) == 2
        assert {utterance["channel"] for utterance in apart["results"]["utterances"]} == {0, 1}
        mixed = stage.client.post(f"/v1/listen?{query}", content=bytes(64_000)).json()
        assert mixed["metadata"]["channels"] == len(mixed["results"]["channels"]) == 1

    def test_a_detected_language_is_used_and_reported(self, tmp_path: Path) -> None:
        pool = ScriptedPool(ScriptedEngine(say("Hola mundo."), language="es"))
        with staged(tmp_path, pool) as stage:
            channel = stage.client.post("/v1/listen?detect_language=es&detect_language=fr", content=CLIP).json()["results"][
                "channels"
            ][0]
        assert channel["detected_language"] == "es"
        assert channel["language_confidence"] == 0.9
        assert pool.calls[0].among == ("es", "fr")
        assert pool.calls[1].options is not None
        assert pool.calls[1].options.language == "es"

    def test_multi_names_the_language_at_each_word(self, tmp_path: Path) -> None:
        pool = ScriptedPool(ScriptedEngine(say("Hola mundo."), language="es"))
        with staged(tmp_path, pool) as stage:
            channel = stage.client.post("/v1/listen?language=multi", content=CLIP).json()["results"]["channels"][0]
        assert channel["alternatives"][0]["languages"] == ["es"]
        assert {word["language"] for word in channel["alternatives"][0]["words"]} == {"es"}
        assert "detected_language" not in channel

    def test_options_reach_the_engine(self, stage: Stage) -> None:
        stage.client.post("/v1/listen?language=es-419&translate=true&prompt=Zo%C3%AB+and+Ann", content=CLIP)
        options = stage.pool.calls[-1].options
        assert options is not None
        assert (options.language, options.translate, options.prompt) == ("es", True, "Zoë and Ann")

    def test_fillers_stay_only_when_asked_for(self, tmp_path: Path) -> None:
        with staged(tmp_path, ScriptedPool(ScriptedEngine(say("Um hello.")))) as stage:
            assert transcript(stage.client.post("/v1/listen", content=CLIP)) == "hello"
            assert transcript(stage.client.post("/v1/listen?filler_words=true", content=CLIP)) == "um hello"

    def test_silence_is_not_decoded(self, stage: Stage) -> None:
        from app.engines.scripted import ScriptedVad

        with staged(Path(stage.app.state.settings.data_dir), vad=ScriptedVad()) as silent:
            answer = silent.client.post("/v1/listen?utterances=true&paragraphs=true", content=CLIP)
            assert answer.status_code == 200
            assert transcript(answer) == ""
            assert silent.pool.calls == []


class TestPaths:
    @pytest.mark.parametrize("path", ["/v1/listen", "/v1/listen/", "//v1/listen", "//v1//listen//"])
    def test_sloppy_base_urls_work_without_a_redirect(self, stage: Stage, path: str) -> None:
        answer = stage.client.post(f"http://testserver{path}", content=CLIP, follow_redirects=False)
        assert answer.status_code == 200

    def test_a_query_of_16_kilobytes_is_read(self, stage: Stage) -> None:
        query = "&".join(f"x=unknown-word-{i}" for i in range(1200))
        assert len(query) > 16_384
        assert stage.client.post(f"/v1/listen?{query}", content=CLIP).status_code == 200

    def test_a_longer_query_is_refused(self, stage: Stage) -> None:
        answer = stage.client.post(f"/v1/listen?prompt={'x' * 40_000}", content=CLIP)
        assert (answer.status_code, answer.json()["err_code"]) == (414, "URI_TOO_LONG")


class TestUploads:
    def test_a_body_over_the_limit_is_cut_off_while_it_is_sent(self, tmp_path: Path) -> None:
        sent = 0

        async def endless() -> AsyncIterator[Message]:
            nonlocal sent
            while True:
                sent += 1000
                yield body(bytes(1000), more=True)

        with staged(tmp_path, max_body_bytes=10_000) as stage:
            answer = asyncio.run(call(stage.app, endless))
        assert answer.status == 413
        assert json.loads(answer.body)["err_code"] == "PAYLOAD_TOO_LARGE"
        assert sent < 20_000

    def test_a_declared_length_over_the_limit_is_refused_unread(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_body_bytes=10_000) as stage:
            assert stage.client.post("/v1/listen", content=bytes(10_001)).status_code == 413

    def test_a_standing_upload_is_ended(self, tmp_path: Path) -> None:
        async def stuck() -> AsyncIterator[Message]:
            yield body(CLIP[:100], more=True)

        with staged(tmp_path, upload_idle_timeout_s=0.05) as stage:
            answer = asyncio.run(call(stage.app, stuck))
        assert (answer.status, json.loads(answer.body)["err_code"]) == (408, "SLOW_UPLOAD")

    def test_an_upload_that_trickles_is_ended_too(self, tmp_path: Path) -> None:
        async def trickle() -> AsyncIterator[Message]:
            while True:
                yield body(b"x", more=True)
                await asyncio.sleep(0.01)

        with staged(tmp_path, upload_timeout_s=0.1) as stage:
            answer = asyncio.run(asyncio.wait_for(call(stage.app, trickle), 30))
        assert (answer.status, stage.pool.admitted) == (408, 0)

    def test_a_client_gone_in_mid_upload_leaves_nothing_behind(self, tmp_path: Path) -> None:
        async def leaving() -> AsyncIterator[Message]:
            yield body(CLIP[:100], more=True)
            yield {"type": "http.disconnect"}

        with staged(tmp_path) as stage:
            assert asyncio.run(call(stage.app, leaving)).status == 499
            assert stage.pool.admitted == 0

    def test_a_client_gone_in_mid_decode_ends_the_job(self, tmp_path: Path) -> None:
        waiting = asyncio.Event()

        async def forever() -> None:
            waiting.set()
            await asyncio.Event().wait()

        async def leaving() -> AsyncIterator[Message]:
            yield body(CLIP)
            await waiting.wait()
            yield {"type": "http.disconnect"}

        pool = ScriptedPool(ScriptedEngine(say(SPEECH)), delay=forever)
        with staged(tmp_path, pool) as stage:
            answer = asyncio.run(asyncio.wait_for(call(stage.app, leaving), 10))
        assert answer.status == 499
        assert (pool.started, pool.ended, pool.admitted) == (1, 1, 0)

    def test_audio_longer_than_allowed_is_refused(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_audio_seconds=1.0) as stage:
            answer = stage.client.post("/v1/listen", content=CLIP)
        assert (answer.status_code, answer.json()["err_code"]) == (413, "PAYLOAD_TOO_LARGE")

    def test_work_that_takes_too_long_is_ended(self, tmp_path: Path) -> None:
        pool = ScriptedPool(delay=asyncio.Event().wait)
        with staged(tmp_path, pool, request_timeout_s=0.05) as stage:
            answer = stage.client.post("/v1/listen", content=CLIP)
        assert (answer.status_code, answer.json()["err_code"]) == (504, "GATEWAY_TIMEOUT")
        assert pool.admitted == 0


class TestAdmission:
    def test_no_room_is_a_429_with_a_time_to_come_back(self, tmp_path: Path) -> None:
        with staged(tmp_path, ScriptedPool(max_pending=0)) as stage:
            answer = stage.client.post("/v1/listen", content=CLIP)
        assert answer.status_code == 429
        assert answer.json()["err_code"] == "TOO_MANY_REQUESTS"
        assert int(answer.headers["retry-after"]) >= 1

    def test_without_auth_any_key_and_none_are_accepted(self, tmp_path: Path) -> None:
        with staged(tmp_path, auth=False) as stage:
            stage.client.headers.pop("authorization")
            assert stage.client.post("/v1/listen", content=CLIP).status_code == 200
            assert stage.client.post("/v1/listen", content=CLIP, headers={"Authorization": "x"}).status_code == 200

    @pytest.mark.parametrize("scheme", ["Token", "token", "TOKEN", "Bearer", "bearer"])
    def test_both_schemes_in_any_case(self, stage: Stage, scheme: str) -> None:
        answer = stage.client.post("/v1/listen", content=CLIP, headers={"Authorization": f"{scheme} {STATIC_KEY}"})
        assert answer.status_code == 200
