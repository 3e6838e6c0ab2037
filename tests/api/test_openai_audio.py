"""``/v1/audio/*`` through the application with a scripted engine: forms, limits, errors, events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.dialects.openai_options import MAX_KEYWORDS
from app.domain.errors import EngineFailed
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from tests.support.app import STATIC_KEY, Stage, staged
from tests.support.asgi import body, call
from tests.support.encode import sndfile
from tests.support.weights import put_model

ROUTE = "/v1/audio/transcriptions"
CLIP = sndfile(np.zeros((1, 16_000 * 3), np.float32), 16_000, "WAV", "PCM_16")
FIVE_MINUTES = sndfile(np.zeros((1, 8_000 * 300), np.float32), 8_000, "FLAC", "PCM_16")
TEXT = "Hello world. How are you?"
BOUNDARY = "a-boundary"


def form(*parts: tuple[str, str | bytes]) -> bytes:
    """Parts in this order; bytes are files."""
    lines = []
    for name, value in parts:
        file = '; filename="a.wav"' if isinstance(value, bytes) else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        lines.append(head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n")
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()


HEADERS = [
    (b"authorization", f"Bearer {STATIC_KEY}".encode()),
    (b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode()),
]
SCOPE: dict[str, Any] = {"path": ROUTE, "raw_path": ROUTE.encode(), "headers": HEADERS}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as opened:
        opened.client.headers["Authorization"] = f"Bearer {STATIC_KEY}"
        yield opened


def send(stage: Stage, route: str = ROUTE, audio: bytes = CLIP, **fields: Any) -> Any:
    return stage.client.post(route, data=fields, files={"file": ("a.wav", audio)})


def events(text: str) -> list[Any]:
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]


class TestForms:
    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
    def test_fields_come_in_any_order(self, stage: Stage, order: tuple[int, ...]) -> None:
        parts = [("model", "whisper-1"), ("response_format", "text"), ("file", CLIP)]
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        answer = stage.client.post(ROUTE, content=form(*(parts[index] for index in order)), headers=headers)
        assert (answer.status_code, answer.text) == (200, f"{TEXT}\n")

    def test_options_reach_the_engine(self, stage: Stage) -> None:
        send(stage, language="es", prompt="Río Bravo", temperature="0.4", response_format="verbose_json")
        asked = stage.pool.calls[-1].options
        assert asked is not None
        assert (asked.language, asked.prompt, asked.temperature, asked.scores) == ("es", "Río Bravo", 0.4, True)

    def test_a_translation_asks_for_english(self, stage: Stage) -> None:
        answer = send(stage, "/v1/audio/translations", language="fr", response_format="verbose_json")
        asked = stage.pool.calls[-1].options
        assert asked is not None
        assert (asked.language, asked.translate) == ("fr", True)
        assert (answer.json()["task"], answer.json()["language"]) == ("translate", "english")

    def test_without_a_language_it_is_detected(self, tmp_path: Path) -> None:
        pool = ScriptedPool(ScriptedEngine(say("Hola."), language="es"))
        with staged(tmp_path, pool) as stage:
            assert send(stage, response_format="verbose_json").json()["language"] == "spanish"
        assert [call.options is None for call in pool.calls] == [True, False]

    def test_a_model_that_knows_only_english_needs_no_language(self, tmp_path: Path) -> None:
        put_model(tmp_path / "models", "tiny.en")
        with staged(tmp_path) as stage:
            answer = send(stage, model="openai/whisper-tiny.en")
        assert (answer.status_code, answer.json()["text"]) == (200, TEXT)
        assert [call.options is None for call in stage.pool.calls] == [False]

    def test_fillers_stay_as_the_model_wrote_them(self, tmp_path: Path) -> None:
        with staged(tmp_path, ScriptedPool(ScriptedEngine(say("Uh, hello. Um.")))) as stage:
            assert send(stage).json()["text"] == "Uh, hello. Um."

    def test_the_sound_is_cut_as_it_was_asked_for(self, tmp_path: Path) -> None:
        strategy = '{"type": "server_vad", "silence_duration_ms": 300}'
        with staged(tmp_path, vad=ScriptedVad((0.2, 1.0), (1.6, 2.4))) as stage:
            for fields, decodes in (({}, 1), ({"chunking_strategy": strategy}, 2)):
                stage.pool.calls.clear()
                send(stage, language="en", **fields)
                assert len(stage.pool.calls) == decodes

    def test_recordings_are_counted(self, stage: Stage) -> None:
        send(stage)
        send(stage, response_format="yaml")
        metrics = stage.client.get("/metrics").text
        assert 'engine_requests_total{kind="batch",response_status="200"} 1.0' in metrics
        assert 'engine_requests_total{kind="batch",response_status="400"} 1.0' in metrics
        assert "whisperapi_audio_seconds_total 3.0" in metrics


class TestErrors:
    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"response_format": "yaml"}, "response_format"),
            ({"timestamp_granularities[]": "syllable", "response_format": "verbose_json"}, "timestamp_granularities"),
            ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
            ({"temperature": "hot"}, "temperature"),
            ({"temperature": "1.5"}, "temperature"),
            ({"temperature": "nan"}, "temperature"),
            ({"stream": "perhaps"}, "stream"),
            ({"stream": "true", "response_format": "srt"}, "stream"),
            ({"include[]": "everything"}, "include"),
            ({"include[]": "logprobs", "response_format": "verbose_json"}, "include"),
            ({"chunking_strategy": "manual"}, "chunking_strategy"),
            ({"chunking_strategy": '{"type": "semantic_vad"}'}, "chunking_strategy"),
            ({"chunking_strategy": '{"type": '}, "chunking_strategy"),
            ({"chunking_strategy": '{"type": "server_vad", "threshold": 2}'}, "chunking_strategy[threshold]"),
            ({"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "x"}, "chunking_strategy[threshold]"),
            ({"known_speaker_names[]": "agent"}, "known_speaker_names"),
            ({"known_speaker_references[]": "data:audio/wav;base64,AAAA"}, "known_speaker_references"),
            ({"language": "klingon"}, "language"),
        ],
    )
    def test_a_value_that_cannot_be_used_is_named(self, stage: Stage, fields: dict[str, str], param: str) -> None:
        answer = send(stage, **fields)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error")
        assert set(error) == {"message", "type", "param", "code"}
        assert stage.pool.calls == []

    def test_a_form_without_the_file_says_so(self, stage: Stage) -> None:
        answer = stage.client.post(ROUTE, data={"model": "whisper-1"}, files={"recording": ("a.wav", CLIP)})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")

    @pytest.mark.parametrize(
        ("content", "content_type"),
        [
            (b"", "multipart/form-data"),
            (CLIP, "audio/wav"),
            (b'{"model": "whisper-1"}', "application/json"),
            (b"model=whisper-1", "application/x-www-form-urlencoded"),
            (b"no parts", f"multipart/form-data; boundary={BOUNDARY}"),
            (form(("file", CLIP))[:-100], f"multipart/form-data; boundary={BOUNDARY}"),
            (b"--a-boundary\r\nnonsense", f"multipart/form-data; boundary={BOUNDARY}"),
        ],
    )
    def test_what_is_no_whole_form_is_refused(self, stage: Stage, content: bytes, content_type: str) -> None:
        answer = stage.client.post(ROUTE, content=content, headers={"content-type": content_type})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")

    @pytest.mark.parametrize(
        ("parts", "reason"),
        [
            ([("prompt", "x" * 70_000)], "maximum size of 64KB"),
            ([(f"field{number}", "") for number in range(200)], "Too many fields"),
            ([(f"file{number}", b"") for number in range(20)], "Too many files"),
        ],
    )
    def test_a_form_beyond_a_limit_is_told_which(self, stage: Stage, parts: list[Any], reason: str) -> None:
        answer = stage.client.post(ROUTE, content=form(*parts, ("file", CLIP)), headers=dict(HEADERS[1:]))
        assert answer.status_code == 400
        assert reason in answer.json()["error"]["message"]

    def test_as_many_keywords_as_are_accepted_fit_into_a_form(self, stage: Stage) -> None:
        fields = [("keywords[]", f"word{number}") for number in range(MAX_KEYWORDS)]
        fields += [(name, "") for name in ("model", "language", "prompt", "response_format", "temperature", "stream")]
        answer = stage.client.post(ROUTE, content=form(*fields, ("file", CLIP)), headers=dict(HEADERS[1:]))
        assert (answer.status_code, answer.json().get("text")) == (200, TEXT)

    def test_a_file_that_is_no_sound_is_refused(self, stage: Stage) -> None:
        for fields in ({}, {"stream": "true"}):
            answer = send(stage, audio=b"These are words, not sounds.", **fields)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "audio_unreadable")
        assert stage.pool.admitted == 0

    @pytest.mark.parametrize(
        ("name", "hint"), [("no-such-model", "does not exist"), ("Systran/faster-whisper-small", "models pull small")]
    )
    def test_a_model_that_is_not_here_is_a_404_with_what_would_help(self, stage: Stage, name: str, hint: str) -> None:
        answer = send(stage, model=name)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
        assert name.lower() in error["message"].lower()
        assert hint in error["message"]

    def test_keys_are_asked_for(self, stage: Stage) -> None:
        del stage.client.headers["Authorization"]
        answer = send(stage)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")

    def test_a_key_that_may_not_is_a_403(self, stage: Stage) -> None:
        stage.client.headers["Authorization"] = f"Bearer {stage.accounts.create('reader', ('usage:read',))[1]}"
        answer = send(stage)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_permissions")

    @pytest.mark.parametrize("declared", [True, False])
    def test_too_many_bytes_are_a_413_before_they_are_decoded(self, tmp_path: Path, declared: bool) -> None:
        with staged(tmp_path, max_body_bytes=50_000) as stage:
            content = form(("file", CLIP))
            sent = content if declared else iter([content[:40_000], content[40_000:]])
            headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
            answer = stage.client.post(ROUTE, content=sent, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "content_too_large")
        assert stage.pool.calls == []

    def test_no_room_is_a_429_with_a_time_to_come_back(self, tmp_path: Path) -> None:
        with staged(tmp_path, ScriptedPool(max_pending=0)) as stage:
            answer = send(stage)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(answer.headers["retry-after"]) >= 1

    def test_no_more_forms_are_received_than_recordings_are_admitted(self, tmp_path: Path) -> None:
        async def scenario(stage: Stage) -> tuple[int | None, int | None, int | None]:
            first_has_come, go_on = asyncio.Event(), asyncio.Event()

            async def slow() -> AsyncIterator[Message]:
                yield body(form(("file", CLIP))[:1000], more=True)
                first_has_come.set()
                await go_on.wait()
                yield body(form(("file", CLIP))[1000:])

            async def quick() -> AsyncIterator[Message]:
                yield body(form(("file", CLIP)))

            slowly = asyncio.ensure_future(call(stage.app, slow, **SCOPE))
            await first_has_come.wait()
            refused = await call(stage.app, quick, **SCOPE)
            go_on.set()
            return refused.status, (await slowly).status, (await call(stage.app, quick, **SCOPE)).status

        with staged(tmp_path, max_pending_requests=1) as stage:
            assert asyncio.run(asyncio.wait_for(scenario(stage), 30)) == (429, 200, 200)

    def test_a_stopping_server_is_a_503(self, stage: Stage) -> None:
        stage.app.state.services.transcriber.stopping = True
        answer = send(stage)
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")

    def test_a_failed_engine_is_a_500(self, tmp_path: Path) -> None:
        with staged(tmp_path, ScriptedPool(ScriptedEngine(failures=[EngineFailed()] * 2))) as stage:
            for fields in ({"language": "en"}, {"language": "en", "stream": "true"}):
                answer = send(stage, **fields)
                assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
        assert stage.pool.admitted == 0

    def test_speakers_are_refused_where_they_are_switched_off(self, tmp_path: Path) -> None:
        with staged(tmp_path, diarizer="off") as stage:
            answer = send(stage, response_format="diarized_json")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format")

    @pytest.mark.parametrize(("method", "route", "status"), [("GET", ROUTE, 405), ("POST", "/v1/audio/speech", 404)])
    def test_other_routes_answer_in_the_same_form(self, stage: Stage, method: str, route: str, status: int) -> None:
        answer = stage.client.request(method, route)
        assert (answer.status_code, set(answer.json())) == (status, {"error"})
        assert answer.headers["x-request-id"] == answer.headers["dg-request-id"]

    def test_deepgrams_routes_keep_their_own(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/listen?model=no-such-model", content=CLIP)
        assert (answer.status_code, "error" in answer.json(), "x-request-id" in answer.headers) == (400, False, False)


class TestEvents:
    def test_deltas_and_the_whole(self, stage: Stage) -> None:
        answer = send(stage, stream="true", model="whisper-1")
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events(answer.text)
        assert [event["type"] for event in told] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
        assert [event["delta"] for event in told[:2]] == ["Hello world.", " How are you?"]
        assert told[-1]["text"] == TEXT
        assert stage.pool.admitted == 0

    def test_silence_has_one_event(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad()) as stage:
            told = events(send(stage, stream="true").text)
        assert [(event["type"], event["text"]) for event in told] == [("transcript.text.done", "")]

    def test_five_minutes_are_heard_of_before_a_fifth_is_decoded(self, tmp_path: Path) -> None:
        seen = asyncio.Event()
        begun = 0

        async def delay() -> None:
            nonlocal begun
            begun += 1
            if begun > 3:  # of the 17 calls of the engine, the detection of the language among them
                await seen.wait()

        pool = ScriptedPool(ScriptedEngine(say("On and on.")), delay=delay)
        with staged(tmp_path, pool) as stage:

            async def spied(scope: Scope, receive: Receive, send: Send) -> None:
                async def spying(message: Message) -> None:
                    if message.get("body"):
                        seen.set()
                    await send(message)

                await stage.app(scope, receive, spying)

            async def upload() -> AsyncIterator[Message]:
                yield body(form(("file", FIVE_MINUTES), ("stream", "true")))

            answer = asyncio.run(asyncio.wait_for(call(spied, upload, **SCOPE), 60))
        told = events(answer.body.decode())
        assert len(pool.calls) > 15
        assert "".join(event["delta"] for event in told[:-1]) == told[-1]["text"]
        assert len(told) == len(pool.calls)

    def test_a_failure_on_the_way_is_the_last_event(self, tmp_path: Path) -> None:
        pool = ScriptedPool(ScriptedEngine(say("On and on."), failures=[None, None, None, None, EngineFailed()]))
        with staged(tmp_path, pool) as stage:
            answer = send(stage, audio=FIVE_MINUTES, stream="true")
        told = events(answer.text)
        assert answer.status_code == 200
        assert told[0]["type"] == "transcript.text.delta"
        assert told[-1]["error"]["type"] == "server_error"
        assert pool.admitted == 0

    @pytest.mark.parametrize("when", ["before the first event", "between events"])
    def test_a_client_that_leaves_ends_the_work(self, tmp_path: Path, when: str) -> None:
        stuck = asyncio.Event()
        begun = 0

        async def delay() -> None:
            nonlocal begun
            begun += 1
            if begun > (0 if when == "before the first event" else 4):
                stuck.set()
                await asyncio.Event().wait()

        async def leaving() -> AsyncIterator[Message]:
            yield body(form(("file", FIVE_MINUTES), ("stream", "true"), ("language", "en")))
            await stuck.wait()
            yield {"type": "http.disconnect"}
            yield {"type": "http.disconnect"}

        pool = ScriptedPool(ScriptedEngine(say("On and on.")), delay=delay)
        with staged(tmp_path, pool) as stage:
            answer = asyncio.run(asyncio.wait_for(call(stage.app, leaving, **SCOPE), 30))
        assert answer.status == (499 if when == "before the first event" else 200)
        assert (pool.admitted, pool.started) == (0, pool.ended)

    def test_speakers_are_named_at_the_end(self, stage: Stage) -> None:
        told = events(send(stage, stream="true", response_format="diarized_json").text)
        kinds = [event["type"].removeprefix("transcript.text.") for event in told]
        assert kinds == ["delta", "delta", "segment", "segment", "done"]


class TestModels:
    @pytest.mark.parametrize("name", ["selftest", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15"])
    def test_a_model_is_found_by_every_name(self, stage: Stage, name: str) -> None:
        shown = stage.client.get(f"/v1/models/{name}").json()
        assert (shown["id"], shown["object"], shown["name"]) == ("selftest", "model", "selftest")

    def test_an_unknown_one_is_refused_in_both_forms(self, stage: Stage) -> None:
        answer = stage.client.get("/v1/models/openai/no-such-model")
        assert (answer.status_code, answer.json()["err_code"], answer.json()["error"]["code"]) == (
            404,
            "NOT_FOUND",
            "not_found",
        )


def test_what_took_too_long_is_not_to_be_sent_again(tmp_path: Path) -> None:
    pool = ScriptedPool(ScriptedEngine(say("Hello.")), delay=asyncio.Event().wait)
    with staged(tmp_path, pool, request_timeout_s=0.05) as stage:
        answer = stage.client.post(ROUTE, files={"file": CLIP}, data={"model": "whisper-1"})
        elsewhere = stage.client.post("/v1/listen", content=CLIP)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "false")
    assert (elsewhere.status_code, elsewhere.headers.get("x-should-retry")) == (504, None)


def test_a_failure_of_the_engine_may_be_tried_again(tmp_path: Path) -> None:
    pool = ScriptedPool(ScriptedEngine(say("Hello."), failures=[EngineFailed()] * 5))
    with staged(tmp_path, pool) as stage:
        answer = stage.client.post(ROUTE, files={"file": CLIP}, data={"model": "whisper-1"})
    assert (answer.status_code, "x-should-retry" in answer.headers) == (500, False)
