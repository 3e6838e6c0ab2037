"""``POST /transcribe``, ``/detect-language`` and ``/asr`` from the outside."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import soundfile

from app.domain.audio import SAMPLE_RATE
from app.domain.errors import EngineFailed
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from tests.support.app import STATIC_KEY, Stage, staged
from tests.support.clips import noise
from tests.support.live_talk import tone

CLIP = (Path(__file__).parents[1] / "audio" / "hello-world.wav").read_bytes()
HEARD = "Hello world. How are"
"""What the script says within the clip's 1.3 seconds."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def post(stage: Stage, path: str, field: str = "file", content: bytes = CLIP, **given: Any) -> Any:
    return stage.client.post(path, files={field: ("talk one.wav", content)}, **given)


def long_clip(seconds: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, noise(seconds), SAMPLE_RATE, format="WAV")
    return file.getvalue()


class TestTranscribe:
    def test_the_answer_is_one_flat_object(self, stage: Stage) -> None:
        answer = post(stage, "/transcribe")
        assert answer.status_code == 200
        body = answer.json()
        assert body.pop("warnings")  # the self-test model says what it is
        assert body == {
            "text": HEARD,
            "language": "en",
            "duration": 1.303,
            "segments": [
                {"id": 0, "start": 0.2, "end": 0.8, "text": "Hello world.", "speaker": None, "words": []},
                {"id": 1, "start": 0.8, "end": 1.303, "text": "How are", "speaker": None, "words": []},
            ],
            "speakers": [],
        }

    @pytest.mark.parametrize("where", ["data", "params"])
    def test_options_stand_in_the_form_or_in_the_query(self, stage: Stage, where: str) -> None:
        options = {"language": "fr", "task": "translate", "word_timestamps": "true", "prompt": "Bonjour"}
        body = post(stage, "/transcribe", **{where: options}).json()
        assert body["language"] == "en"
        assert body["segments"][0]["words"][1] == {"word": "world.", "start": 0.5, "end": 0.8, "probability": 0.95}
        asked = stage.pool.calls[-1].options
        assert asked is not None
        assert (asked.language, asked.translate, asked.prompt) == ("fr", True, "Bonjour")

    def test_of_a_name_in_both_the_form_counts(self, stage: Stage) -> None:
        assert post(stage, "/transcribe?language=de", data={"language": "es"}).json()["language"] == "es"

    @pytest.mark.parametrize("language", [None, "", "auto"])
    def test_without_a_language_it_is_detected(self, tmp_path: Path, language: str | None) -> None:
        with staged(tmp_path, ScriptedPool(ScriptedEngine(say("Hola."), language="es"))) as stage:
            data = {} if language is None else {"language": language}
            assert post(stage, "/transcribe", data=data).json()["language"] == "es"

    def test_voices_are_told_apart(self, stage: Stage) -> None:
        body = post(stage, "/transcribe", data={"diarize": "true", "word_timestamps": "1"}).json()
        assert body["speakers"] == ["SPEAKER_00"]
        assert {segment["speaker"] for segment in body["segments"]} == {"SPEAKER_00"}
        assert body["segments"][0]["words"][0]["speaker"] == "SPEAKER_00"

    def test_silence_has_no_text(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad()) as stage:
            body = post(stage, "/transcribe").json()
            assert (body["text"], body["segments"]) == ("", [])


class TestAsr:
    def text(self, stage: Stage, output: str) -> str:
        answer = post(stage, f"/asr?output={output}", "audio_file")
        assert answer.status_code == 200
        assert answer.headers["asr-engine"] == "whisper.cpp"
        assert answer.headers["content-disposition"] == f'attachment; filename="talk%20one.wav.{output}"'
        return str(answer.text)

    def test_text_has_a_line_for_each_segment(self, stage: Stage) -> None:
        assert self.text(stage, "txt") == "Hello world.\nHow are\n"

    def test_text_is_what_comes_unasked(self, stage: Stage) -> None:
        assert post(stage, "/asr", "audio_file").text == self.text(stage, "txt")

    def test_captions(self, stage: Stage) -> None:
        assert self.text(stage, "srt") == f"1\n00:00:00,200 --> 00:00:01,303\n{HEARD}\n"
        assert self.text(stage, "vtt") == f"WEBVTT\n\n00:00:00.200 --> 00:00:01.303\n{HEARD}\n"

    def test_tab_separated_values_in_milliseconds(self, stage: Stage) -> None:
        assert self.text(stage, "tsv") == "start\tend\ttext\n200\t800\tHello world.\n800\t1303\tHow are\n"

    def test_json_is_the_result_of_openais_whisper(self, stage: Stage) -> None:
        body = post(stage, "/asr?output=json&word_timestamps=true", "audio_file").json()
        assert set(body) == {"text", "segments", "language"}
        assert body["text"] == f" {HEARD}" == "".join(segment["text"] for segment in body["segments"])
        first = body["segments"][0]
        assert set(first) == {
            "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio",
            "no_speech_prob", "words",
        }  # fmt: skip
        assert first["words"][0] == {"word": " Hello", "start": 0.2, "end": 0.5, "probability": 0.95}
        asked = stage.pool.calls[-1].options
        assert asked is not None
        assert asked.scores

    def test_words_are_listed_only_if_asked_for(self, stage: Stage) -> None:
        assert "words" not in post(stage, "/asr?output=json", "audio_file").json()["segments"][0]

    def test_options_reach_the_engine(self, stage: Stage) -> None:
        query = "task=translate&language=de&initial_prompt=Hallo&vad_filter=true&video_file=x&min_speakers=2"
        assert post(stage, f"/asr?{query}", "audio_file").status_code == 200
        asked = stage.pool.calls[-1].options
        assert asked is not None
        assert (asked.language, asked.translate, asked.prompt) == ("de", True, "Hallo")

    def test_encode_false_means_bare_samples(self, stage: Stage) -> None:
        answer = post(stage, "/asr?output=json&encode=false", "audio_file", tone(1.0))
        assert answer.json()["text"] == " Hello world. How"
        assert stage.pool.calls[-1].samples == SAMPLE_RATE
        assert post(stage, "/asr?output=json", "audio_file", tone(1.0)).status_code == 400

    def test_speakers_stand_before_the_text(self, stage: Stage) -> None:
        text = post(stage, "/asr?diarize=true", "audio_file").text
        assert text == "[SPEAKER_00]: Hello world.\n[SPEAKER_00]: How are\n"

    def test_any_name_of_a_file_fits_a_header(self, stage: Stage) -> None:
        answer = stage.client.post("/asr", files={"audio_file": ('ä"\\;/' + "x" * 500, CLIP)})
        assert answer.status_code == 200
        assert len(answer.headers["content-disposition"]) < 300


class TestDetectLanguage:
    def test_the_code_for_a_file(self, tmp_path: Path) -> None:
        with staged(tmp_path, ScriptedPool(ScriptedEngine(language="fr"))) as stage:
            body = post(stage, "/detect-language").json()
        assert (body["detected_language"], body["language_code"], body["confidence"]) == ("fr", "fr", 0.9)
        assert next(guess["language"] for guess in body["top_languages"]) == "fr"
        assert len(body["top_languages"]) == 4

    def test_the_name_for_an_audio_file(self, tmp_path: Path) -> None:
        with staged(tmp_path, ScriptedPool(ScriptedEngine(language="fr"))) as stage:
            body = post(stage, "/detect-language?encode=false", "audio_file", tone(1.0)).json()
        assert (body["detected_language"], body["language_code"], body["confidence"]) == ("french", "fr", 0.9)

    def test_nothing_is_transcribed(self, stage: Stage) -> None:
        post(stage, "/detect-language")
        assert [call.options for call in stage.pool.calls] == [None]

    def test_where_nobody_speaks_the_language_is_undetermined(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad()) as stage:
            body = post(stage, "/detect-language", "audio_file").json()
        assert body == {"detected_language": "unknown", "language_code": "und", "confidence": 0.0, "top_languages": []}

    def test_only_the_first_speech_is_looked_at(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad((5.0, 100.0))) as stage:
            assert post(stage, "/detect-language", content=long_clip(100.0)).json()["language_code"] == "en"
        assert [call.samples for call in stage.pool.calls] == [30 * SAMPLE_RATE]


PATHS = [("/transcribe", "file"), ("/asr", "audio_file"), ("/detect-language", "file")]


@pytest.mark.parametrize(("path", "field"), PATHS)
class TestErrors:
    def refused(self, answer: Any, status: int) -> str:
        assert answer.status_code == status
        body = answer.json()
        assert set(body) == {"detail", "request_id"}
        assert body["request_id"] == answer.headers["dg-request-id"] == str(UUID(body["request_id"]))
        return str(body["detail"])

    def test_without_a_key(self, stage: Stage, path: str, field: str) -> None:
        self.refused(post(stage, path, field, headers={"Authorization": ""}), 401)

    def test_what_is_no_form(self, stage: Stage, path: str, field: str) -> None:
        assert "multipart/form-data" in self.refused(stage.client.post(path, content=CLIP), 400)

    def test_a_form_without_a_file(self, stage: Stage, path: str, field: str) -> None:
        answer = stage.client.post(path, files={"other": ("a.wav", CLIP)})
        assert f"`{field}`" in self.refused(answer, 400)

    def test_a_file_that_is_sent_as_text(self, stage: Stage, path: str, field: str) -> None:
        assert f"`{field}`" in self.refused(stage.client.post(path, files={field: (None, "abc")}), 400)

    def test_what_is_no_audio(self, stage: Stage, path: str, field: str) -> None:
        self.refused(post(stage, path, field, b"this is text"), 400)

    def test_a_form_above_the_limit(self, tmp_path: Path, path: str, field: str) -> None:
        with staged(tmp_path, max_body_bytes=1000) as stage:
            self.refused(post(stage, path, field), 413)

    def test_an_unknown_model(self, stage: Stage, path: str, field: str) -> None:
        self.refused(post(stage, f"{path}?model=nonsense", field), 400)

    def test_no_room(self, tmp_path: Path, path: str, field: str) -> None:
        with staged(tmp_path, ScriptedPool(max_pending=0)) as stage:
            answer = post(stage, path, field)
            self.refused(answer, 429)
            assert answer.headers["retry-after"] == "1"

    def test_an_engine_that_fails(self, tmp_path: Path, path: str, field: str) -> None:
        with staged(tmp_path, ScriptedPool(ScriptedEngine(say("Hello."), failures=[EngineFailed()] * 5))) as stage:
            self.refused(post(stage, path, field), 500)

    def test_a_server_that_is_stopping(self, stage: Stage, path: str, field: str) -> None:
        stage.app.state.services.transcriber.stopping = True
        answer = post(stage, path, field)
        self.refused(answer, 503)
        assert "retry-after" in answer.headers

    def test_a_query_that_is_too_long(self, tmp_path: Path, path: str, field: str) -> None:
        with staged(tmp_path, max_query_bytes=1024) as stage:
            self.refused(post(stage, f"{path}?x={'y' * 1024}", field), 414)

    def test_another_method(self, stage: Stage, path: str, field: str) -> None:
        self.refused(stage.client.get(path), 405)

    def test_a_key_in_the_address_opens(self, stage: Stage, path: str, field: str) -> None:
        for pair in (f"anybody:{STATIC_KEY}", STATIC_KEY, f"{STATIC_KEY}:"):
            basic = base64.b64encode(pair.encode()).decode()
            assert post(stage, path, field, headers={"Authorization": f"Basic {basic}"}).status_code == 200

    @pytest.mark.parametrize("credential", ["Basic", "Basic !", "Basic Og==", "Basic YTpi", "Basic /////w=="])
    def test_a_wrong_key_in_the_address(self, stage: Stage, path: str, field: str, credential: str) -> None:
        self.refused(post(stage, path, field, headers={"Authorization": credential}), 401)

    def test_pages_of_other_origins_may_ask(self, stage: Stage, path: str, field: str) -> None:
        headers = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
        assert stage.client.options(path, headers=headers).status_code == 200

    def test_answers_are_counted(self, stage: Stage, path: str, field: str) -> None:
        post(stage, path, field)
        assert 'engine_requests_total{kind="batch",response_status="200"} 1.0' in stage.client.get("/metrics").text


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/transcribe?language=xx", "language"),
        ("/transcribe?task=sing", "task"),
        ("/transcribe?word_timestamps=maybe", "word_timestamps"),
        ("/transcribe?diarize=maybe", "diarize"),
        (f"/transcribe?prompt={'x' * 1001}", "prompt"),
        ("/asr?output=doc", "output"),
        (f"/asr?initial_prompt={'x' * 1001}", "initial_prompt"),
        ("/asr?encode=maybe", "encode"),
    ],
)
def test_unusable_values_are_named(stage: Stage, path: str, detail: str) -> None:
    answer = post(stage, path, "audio_file")
    assert answer.status_code == 400
    assert detail in answer.json()["detail"]
