"""The messages of ``WS /v1/listen`` in both directions (contract 3.3 to 3.6)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import EngineFailed
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from tests.support.app import Stage, staged
from tests.support.live_talk import (
    CLOSE,
    FINALIZE,
    KEEP_ALIVE,
    RAW,
    Json,
    Talk,
    converse,
    read_to_the_end,
    send,
    tone,
    transcript,
)

EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def pieces(seconds: float, each_s: float = 0.1) -> list[bytes]:
    return [tone(each_s)] * round(seconds / each_s)


def assert_tiled(finals: list[Json], end_s: float) -> None:
    """Finals follow each other without gap or overlap from 0 to the end (contract 3.5)."""
    position_s = 0.0
    for final in finals:
        assert final["start"] == pytest.approx(position_s, abs=0.002)
        position_s = final["start"] + final["duration"]
    assert position_s == pytest.approx(end_s, abs=0.002)


class TestClosing:
    @pytest.mark.parametrize(
        "ending",
        [
            CLOSE,
            '{ "type" : "CloseStream" }',
            '\r\n{"type":"CloseStream"}\n',
            b"",
            b'{"type":"CloseStream"}',
            b'{"type": "CloseStream"}',
        ],
    )
    def test_every_way_to_end_a_stream_gives_final_metadata_and_1000(self, stage: Stage, ending: bytes | str) -> None:
        audio = tone(1.0)
        talk = converse(stage.client, RAW, [audio, ending])
        assert talk.kinds == ["Results", "Metadata"]
        assert talk.text == "hello world how"
        assert talk.metadata["sha256"] == hashlib.sha256(audio).hexdigest()
        assert (talk.metadata["duration"], talk.metadata["channels"]) == (1.0, 1)
        assert (talk.code, talk.reason) == (1000, "")

    def test_without_audio_the_metadata_is_of_nothing(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [KEEP_ALIVE, CLOSE])
        assert talk.kinds == ["Metadata"]
        assert (talk.metadata["duration"], talk.metadata["channels"]) == (0.0, 0)
        assert talk.metadata["sha256"] == EMPTY_DIGEST
        assert stage.pool.calls == []

    def test_audio_and_messages_after_the_end_are_ignored(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [tone(1.0), CLOSE, tone(1.0), FINALIZE, "nonsense", CLOSE, b""])
        assert talk.kinds == ["Results", "Metadata"]
        assert talk.metadata["duration"] == 1.0
        assert talk.metadata["sha256"] == hashlib.sha256(tone(1.0)).hexdigest()

    def test_the_decode_of_a_final_that_fails_gives_an_empty_one(self, tmp_path: Path) -> None:
        pool = ScriptedPool(ScriptedEngine(say("Hello."), failures=[EngineFailed()]))
        with staged(tmp_path, pool) as stage:
            talk = converse(stage.client, RAW, [tone(1.0), FINALIZE, tone(1.0), CLOSE])
            assert [transcript(final) for final in talk.finals] == ["", "hello"]
            assert talk.code == 1000
            assert "whisperapi_lost_segments_total 1.0" in stage.client.get("/metrics").text


class TestFinalize:
    def test_before_any_audio_gives_an_empty_final(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [FINALIZE, CLOSE])
        [final] = talk.finals
        assert (final["from_finalize"], final["speech_final"], transcript(final)) == (True, True, "")
        assert (final["start"], final["duration"]) == (0.0, 0.0)

    def test_on_silence_gives_one_empty_final_and_no_decode(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad()) as stage:
            talk = converse(stage.client, RAW, [tone(0.5), FINALIZE, CLOSE])
            assert [(transcript(final), final["from_finalize"]) for final in talk.finals] == [("", True)]
            assert stage.pool.calls == []

    def test_twice_gives_two_and_words_only_once(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [tone(1.0), FINALIZE, FINALIZE, CLOSE])
        assert [transcript(final) for final in talk.finals] == ["hello world how", ""]
        assert [final["from_finalize"] for final in talk.finals] == [True, True]
        assert_tiled(talk.finals, 1.0)

    def test_together_with_the_close(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [tone(1.0), FINALIZE, CLOSE])
        assert talk.kinds == ["Results", "Metadata"]
        assert talk.finals[0]["from_finalize"] is True

    def test_the_stream_goes_on_at_the_flushed_end(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [tone(1.0), FINALIZE, tone(2.0), CLOSE])
        assert [(final["start"], final["duration"]) for final in talk.finals] == [(0.0, 1.0), (1.0, 2.0)]
        assert talk.finals[1]["channel"]["alternatives"][0]["words"][0]["start"] >= 1.0

    def test_in_a_binary_message(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [tone(1.0), FINALIZE.encode(), CLOSE])
        assert talk.finals[0]["from_finalize"] is True
        assert talk.metadata["duration"] == 1.0

    @pytest.mark.parametrize("channel", [0, 1])
    def test_of_one_channel_leaves_the_other_open(self, stage: Stage, channel: int) -> None:
        asked = json.dumps({"type": "Finalize", "channel": channel})
        talk = converse(stage.client, f"{RAW}&channels=2&multichannel=true", [tone(1.0, channels=2), asked, CLOSE])
        assert [(final["channel_index"], final["from_finalize"]) for final in talk.finals] == [
            ([channel, 2], True),
            ([1 - channel, 2], False),
        ]

    @pytest.mark.parametrize("channel", [2, -1, "0", True, 1.5])
    def test_of_a_channel_that_is_not_there_is_an_error_and_the_stream_goes_on(self, stage: Stage, channel: object) -> None:
        asked = json.dumps({"type": "Finalize", "channel": channel})
        talk = converse(stage.client, f"{RAW}&channels=2&multichannel=true", [tone(1.0, channels=2), asked, CLOSE])
        assert talk.messages[0]["type"] == "Error"
        assert talk.messages[0]["message"] == asked
        assert len(talk.finals) == 2
        assert talk.code == 1000


class TestOtherMessages:
    @pytest.mark.parametrize("text", ["hello", "", "{", "[1]", '{"type":"Speak"}', '{"type":5}', '{"typ":"CloseStream"}'])
    def test_what_is_not_understood_is_answered_and_the_stream_goes_on(self, stage: Stage, text: str) -> None:
        talk = converse(stage.client, RAW, [tone(1.0), text, CLOSE])
        error = talk.messages[0]
        assert list(error) == ["type", "variant", "description", "message"]
        assert (error["type"], error["variant"], error["message"]) == ("Error", "SchemaError", text)
        assert talk.text == "hello world how"
        assert talk.code == 1000

    def test_sync_and_keep_alive_have_no_answer_and_take_no_time(self, stage: Stage) -> None:
        sent = [tone(0.5), '{"type":"Sync"}', KEEP_ALIVE, '{ "type": "KeepAlive" }', KEEP_ALIVE.encode(), tone(0.5), CLOSE]
        talk = converse(stage.client, RAW, sent)
        assert talk.kinds == ["Results", "Metadata"]
        assert talk.metadata["duration"] == 1.0
        assert talk.metadata["sha256"] == hashlib.sha256(tone(0.5) * 2).hexdigest()

    @pytest.mark.parametrize(
        ("asked", "kind"),
        [
            ({"type": "Configure"}, "ConfigureSuccess"),
            ({"type": "Configure", "keyterms": []}, "ConfigureSuccess"),
            ({"type": "Configure", "keyterms": ["whisper"]}, "ConfigureFailure"),
            ({"type": "Configure", "features": {"numerals": True}}, "ConfigureSuccess"),
        ],
    )
    def test_configure_has_exactly_one_answer(self, stage: Stage, asked: Json, kind: str) -> None:
        talk = converse(stage.client, RAW, [json.dumps(asked), CLOSE])
        assert talk.kinds == [kind, "Metadata"]
        assert talk.messages[0]["request_id"] == talk.metadata["request_id"]


class TestResults:
    def conversation(self, stage: Stage, **more: Any) -> Talk:
        query = f"{RAW}&interim_results=true&endpointing=300&utterance_end_ms=1000&vad_events=true&punctuate=true"
        return converse(stage.client, query, [*pieces(6.0), KEEP_ALIVE, FINALIZE, CLOSE], **more)

    def test_a_whole_exchange_has_the_contracts_order(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad((0.4, 1.7))) as stage:
            talk = self.conversation(stage)
        assert set(talk.kinds) == {"SpeechStarted", "Results", "UtteranceEnd", "Metadata"}
        [started] = talk.of("SpeechStarted")
        assert started["channel"] == [0, 1]
        assert started["timestamp"] == pytest.approx(0.4, abs=0.04)
        first, *rest = talk.finals
        assert (first["is_final"], first["speech_final"], first["start"]) == (True, True, 0.0)
        assert first["duration"] == pytest.approx(1.7 + 0.3, abs=0.05)
        assert transcript(first) == "Hello world. How are you?"
        [ended] = talk.of("UtteranceEnd")
        assert ended["last_word_end"] == first["channel"]["alternatives"][0]["words"][-1]["end"]
        assert talk.messages.index(started) < talk.messages.index(first) < talk.messages.index(ended)
        assert rest[-1]["from_finalize"] is True
        assert_tiled(talk.finals, 6.0)
        assert talk.kinds[-1] == "Metadata"
        assert talk.code == 1000

    def test_interims_restate_the_segment_until_its_final(self, stage: Stage) -> None:
        with stage.client.websocket_connect(f"/v1/listen?{RAW}&interim_results=true") as socket:
            send(socket, *pieces(1.0))
            interim = socket.receive_json()
            send(socket, FINALIZE, CLOSE)
            talk = read_to_the_end(socket)
        for result in (interim, *talk.of("Results")[:-1]):
            assert (result["is_final"], result["speech_final"], result["from_finalize"]) == (False, False, False)
            assert (result["start"], transcript(result)[:5]) == (0.0, "hello")
        assert transcript(talk.finals[0]) == "hello world how"

    def test_without_interims_every_result_is_final(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [*pieces(3.0), CLOSE])
        assert all(result["is_final"] for result in talk.of("Results"))

    def test_silence_is_told_too(self, tmp_path: Path) -> None:
        """Some clients count time by empty results (contract 3.5, 6.3)."""
        with staged(tmp_path, vad=ScriptedVad()) as stage:
            talk = converse(stage.client, f"{RAW}&interim_results=true", [*pieces(10.0, 0.5), CLOSE])
            assert stage.pool.calls == []
        interims = [result for result in talk.of("Results") if not result["is_final"]]
        assert {transcript(result) for result in talk.of("Results")} == {""}
        assert len(interims) >= 6
        assert len(talk.finals) == 3
        assert_tiled(talk.finals, 10.0)

    def test_a_final_at_an_endpoint_needs_silence_as_long_as_asked_for(self, tmp_path: Path) -> None:
        durations = []
        for endpointing in ("10", "300", "1000", "false"):
            with staged(tmp_path, vad=ScriptedVad((0.2, 1.0))) as stage:
                talk = converse(stage.client, f"{RAW}&endpointing={endpointing}", [*pieces(2.5), CLOSE])
            durations.append((talk.finals[0]["duration"], talk.finals[0]["speech_final"]))
        assert [speech_final for _, speech_final in durations] == [True, True, True, False]
        assert [duration for duration, _ in durations[:3]] == pytest.approx([1.2, 1.3, 2.0], abs=0.05)

    def test_no_fields_are_missing_from_any_result(self, stage: Stage) -> None:
        talk = self.conversation(stage)
        request_id = talk.metadata["request_id"]
        for result in talk.of("Results"):
            assert list(result) == [
                "type", "channel_index", "duration", "start", "is_final", "speech_final", "channel", "metadata",
                "from_finalize",
            ]  # fmt: skip
            assert result["metadata"]["request_id"] == request_id
            assert set(result["metadata"]["model_info"]) == {"name", "version", "arch"}
            [alternative] = result["channel"]["alternatives"]
            assert list(alternative) == ["transcript", "confidence", "words"]
            assert isinstance(alternative["confidence"], float)
            assert result["is_final"] or not result["speech_final"]

    def test_messages_are_compact_json_with_the_type_first(self, stage: Stage) -> None:
        with stage.client.websocket_connect(f"/v1/listen?{RAW}&vad_events=true") as socket:
            send(socket, tone(1.0), "?", '{"type":"Configure"}', CLOSE)
            for _ in range(5):
                text = socket.receive_text()
                assert text.startswith('{"type":"')
                assert ": " not in text.split('"description"')[0]
            assert read_to_the_end(socket).code == 1000


class TestText:
    def said(self, tmp_path: Path, script: str, query: str, **engine: Any) -> Json:
        pool = ScriptedPool(ScriptedEngine(say(script), **engine))
        with staged(tmp_path, pool) as stage:
            talk = converse(stage.client, f"{RAW}&{query}", [tone(3.0), CLOSE])
        [final] = talk.finals
        alternative: Json = final["channel"]["alternatives"][0]
        return alternative

    def test_without_punctuation_everything_is_lower_case(self, tmp_path: Path) -> None:
        alternative = self.said(tmp_path, "Uh, hello World. Um.", "")
        assert alternative["transcript"] == "hello world"
        assert all("punctuated_word" not in word for word in alternative["words"])

    @pytest.mark.parametrize("query", ["punctuate=true", "smart_format=True"])
    def test_with_it_words_are_as_written(self, tmp_path: Path, query: str) -> None:
        alternative = self.said(tmp_path, "Uh, hello World.", query)
        assert alternative["transcript"] == "Hello World."
        assert [word["punctuated_word"] for word in alternative["words"]] == ["Hello", "World."]
        assert "paragraphs" not in alternative

    def test_fillers_stay_when_wanted(self, tmp_path: Path) -> None:
        assert self.said(tmp_path, "Uh, hello.", "filler_words=true")["transcript"] == "uh hello"

    def test_multi_names_the_language_that_was_heard(self, tmp_path: Path) -> None:
        alternative = self.said(tmp_path, "Buenos días.", "language=multi", language="es")
        assert alternative["languages"] == ["es"]
        assert [word["language"] for word in alternative["words"]] == ["es", "es"]

    def test_extra_comes_back_in_results_and_metadata(self, stage: Stage) -> None:
        talk = converse(stage.client, f"{RAW}&extra=order:17&extra=shop:a%3Ab", [tone(1.0), CLOSE])
        expected = {"order": "17", "shop": "a:b"}
        assert talk.metadata["extra"] == expected
        assert talk.finals[0]["metadata"]["extra"] == expected

    def test_without_extra_there_is_no_such_key(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [tone(1.0), CLOSE])
        assert "extra" not in talk.metadata
        assert "extra" not in talk.finals[0]["metadata"]
