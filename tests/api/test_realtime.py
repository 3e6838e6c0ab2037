"""What happens in a transcription session of ``WS /v1/realtime``: turns, commits, deltas, settings."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import EngineFailed
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from tests.support.app import Stage, staged
from tests.support.live_talk import tone
from tests.support.realtime_talk import (
    BETA,
    CLEAR,
    COMMIT,
    COMPLETED,
    DELTA,
    FAILED,
    append,
    session,
    settings,
    speech,
)

BUTTON = settings(turn_detection=None)
SAID = "Hello world. How are you?"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[Stage]:
    """Speech from 0.5 to 2 s and from 4 to 5.5 s."""
    engine = ScriptedEngine(say("One two three."))
    with staged(tmp_path, ScriptedPool(engine), ScriptedVad((0.5, 2.0), (4.0, 5.5))) as running:
        yield running


class TestTurnsOfTheServer:
    def test_a_turn_is_told_from_its_start_to_its_text(self, turns: Stage) -> None:
        with session(turns.client) as talk:
            talk.send(*speech(4.0))
            completed = talk.until(COMPLETED)
            told = [kind for kind in talk.kinds if kind != DELTA]
            assert told == [
                "session.created",
                "input_audio_buffer.speech_started",
                "input_audio_buffer.speech_stopped",
                "input_audio_buffer.committed",
                "conversation.item.added",
                "conversation.item.done",
                COMPLETED,
            ]
            assert {event["item_id"] for event in talk.seen if "item_id" in event} == {completed["item_id"]}
            assert completed["transcript"] == talk.told(completed["item_id"]) == "One two three."
            [started] = talk.of("input_audio_buffer.speech_started")
            [stopped] = talk.of("input_audio_buffer.speech_stopped")
            assert started["audio_start_ms"] == pytest.approx(200, abs=64)  # 0.5 s less the padding
            assert stopped["audio_end_ms"] == pytest.approx(2500, abs=64)
            length_s = (stopped["audio_end_ms"] - started["audio_start_ms"]) / 1000
            assert completed["usage"] == {"type": "duration", "seconds": pytest.approx(length_s, abs=0.002)}

    def test_items_follow_one_another(self, turns: Stage) -> None:
        with session(turns.client) as talk:
            talk.send(*speech(7.0))
            talk.until(COMPLETED)
            talk.until(COMPLETED)
            committed = talk.of("input_audio_buffer.committed")
            assert committed[0]["previous_item_id"] is None
            assert committed[1]["previous_item_id"] == committed[0]["item_id"]
            for kind in ("conversation.item.added", "conversation.item.done"):
                assert [event["previous_item_id"] for event in talk.of(kind)] == [None, committed[0]["item_id"]]
                assert [event["item"]["id"] for event in talk.of(kind)] == [event["item_id"] for event in committed]

    def test_silence_duration_decides_what_one_turn_is(self, turns: Stage) -> None:
        patient = settings(turn_detection={"type": "server_vad", "silence_duration_ms": 2500})
        with session(turns.client, patient) as talk:
            talk.send(*speech(9.0))
            assert talk.until(COMPLETED)["transcript"] == "One two three. One two three."
            assert len(talk.of("input_audio_buffer.speech_started")) == 1

    def test_turns_a_fifth_of_a_second_apart_are_two(self, tmp_path: Path) -> None:
        quick = settings(turn_detection={"type": "server_vad", "silence_duration_ms": 200, "prefix_padding_ms": 0})
        pool = ScriptedPool(ScriptedEngine(say("One.", 0.0)))
        with staged(tmp_path, pool, ScriptedVad((0.5, 1.5), (1.8, 2.8))) as stage, session(stage.client, quick) as talk:
            talk.send(*speech(4.0))
            talk.until(COMPLETED)
            talk.until(COMPLETED)
            starts = talk.of("input_audio_buffer.speech_started")
            assert [event["audio_start_ms"] for event in starts] == pytest.approx([500, 1800], abs=64)
            ends = [event["audio_end_ms"] for event in talk.of("input_audio_buffer.speech_stopped")]
            assert ends[0] <= starts[1]["audio_start_ms"]

    def test_speech_that_begins_while_the_turn_before_is_decoded_is_told_after_it(self, tmp_path: Path) -> None:
        gate = threading.Event()
        pool = ScriptedPool(ScriptedEngine(say("One two three.")), delay=lambda: _open(gate))
        with staged(tmp_path, pool, ScriptedVad((0.5, 2.0), (4.0, 5.5))) as stage, session(stage.client) as talk:
            talk.send(*speech(7.0), {"type": "nonsense"})
            while talk.next()["type"] != "error":
                pass
            assert talk.kinds == ["session.created", "input_audio_buffer.speech_started", "error"]
            gate.set()
            talk.until(COMPLETED)
            second = talk.until("input_audio_buffer.speech_started")
            assert second["audio_start_ms"] == pytest.approx(3700, abs=64)
            assert talk.until(COMPLETED)["item_id"] == second["item_id"]

    def test_silence_says_nothing(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad()) as stage, session(stage.client) as talk:
            talk.send(*speech(10.0), {"type": "nonsense"})
            assert talk.next()["type"] == "error"
            assert stage.pool.calls == []

    def test_a_turn_that_cannot_be_decoded_has_failed(self, tmp_path: Path) -> None:
        pool = ScriptedPool(ScriptedEngine(say("One."), failures=[EngineFailed()] * 20))
        with staged(tmp_path, pool, ScriptedVad((0.5, 2.0))) as stage, session(stage.client) as talk:
            talk.send(*speech(4.0))
            failed = talk.until(FAILED)
            assert failed["item_id"] == talk.of("input_audio_buffer.committed")[0]["item_id"]
            assert set(failed["error"]) == {"type", "code", "message", "param"}
            assert talk.of(COMPLETED) == []

    def test_noise_without_words_is_an_empty_item(self, tmp_path: Path) -> None:
        pool = ScriptedPool(ScriptedEngine())
        with staged(tmp_path, pool, ScriptedVad((0.5, 2.0))) as stage, session(stage.client) as talk:
            talk.send(*speech(4.0))
            assert talk.until(COMPLETED)["transcript"] == ""
            assert talk.of(DELTA) == []

    def test_the_client_may_commit_in_the_middle(self, turns: Stage) -> None:
        with session(turns.client) as talk:
            talk.send(*speech(1.5), COMMIT)
            completed = talk.until(COMPLETED)
            assert talk.of("input_audio_buffer.speech_stopped") == []
            talk.send(*speech(2.5))
            assert talk.until(COMPLETED)["item_id"] != completed["item_id"]
            assert len(talk.of("input_audio_buffer.speech_stopped")) == 1


async def _open(gate: threading.Event) -> None:
    import anyio.to_thread

    await anyio.to_thread.run_sync(gate.wait)


class TestTurnsOfTheClient:
    def test_nothing_is_committed_before_the_client_does(self, stage: Stage) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(*speech(4.0), COMMIT)
            committed = talk.until("input_audio_buffer.committed")
            completed = talk.until(COMPLETED)
            assert completed["transcript"] == SAID == talk.told(completed["item_id"])
            assert completed["item_id"] == committed["item_id"]
            assert completed["usage"]["seconds"] == pytest.approx(4.0)
            assert not [kind for kind in talk.kinds if "speech" in kind]

    def test_pauses_do_not_split_an_item(self, turns: Stage) -> None:
        with session(turns.client, BUTTON) as talk:
            talk.send(*speech(6.0), COMMIT)
            assert talk.until(COMPLETED)["transcript"] == "One two three. One two three."

    def test_two_commits_are_two_items_in_order(self, stage: Stage) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(*speech(1.0), COMMIT, *speech(2.0), COMMIT)
            talk.until(COMPLETED)
            talk.until(COMPLETED)
            ids = [event["item_id"] for event in talk.of("input_audio_buffer.committed")]
            assert [event["item_id"] for event in talk.of(COMPLETED)] == ids
            assert talk.of("conversation.item.added")[1]["previous_item_id"] == ids[0]
            assert [event["usage"]["seconds"] for event in talk.of(COMPLETED)] == pytest.approx([1.0, 2.0])

    def test_a_commit_of_silence_is_an_empty_item(self, tmp_path: Path) -> None:
        with staged(tmp_path, vad=ScriptedVad()) as stage, session(stage.client, BUTTON) as talk:
            talk.send(*speech(1.0), COMMIT)
            assert talk.until(COMPLETED)["transcript"] == ""

    @pytest.mark.parametrize("before", [[], speech(0.1)[:0], [append(tone(0.05, 24_000))]])
    def test_a_commit_of_next_to_nothing_is_an_error(self, stage: Stage, before: list[Any]) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(*before, COMMIT | {"event_id": "mine"})
            error = talk.next()["error"]
            assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "mine")

    def test_what_was_cleared_is_never_said(self, stage: Stage) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(*speech(0.3), CLEAR)
            talk.until("input_audio_buffer.cleared")
            talk.send(COMMIT)
            assert talk.next()["error"]["code"] == "input_audio_buffer_commit_empty"
            talk.send(*speech(2.0), COMMIT)
            completed = talk.until(COMPLETED)
            assert completed["usage"]["seconds"] == pytest.approx(2.0)
            assert len(talk.of(COMPLETED)) == len(talk.of("conversation.item.done")) == 1

    def test_clearing_nothing(self, stage: Stage) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(CLEAR)
            assert talk.next()["type"] == "input_audio_buffer.cleared"

    def test_a_decode_that_fails_does_not_come_out_empty(self, tmp_path: Path) -> None:
        pool = ScriptedPool(ScriptedEngine(say("One."), failures=[EngineFailed()] * 20))
        with staged(tmp_path, pool) as stage, session(stage.client, BUTTON) as talk:
            talk.send(*speech(1.0), COMMIT)
            assert talk.until(FAILED)["item_id"] == talk.of("input_audio_buffer.committed")[0]["item_id"]


class TestDeltas:
    def test_words_are_told_while_they_are_spoken(self, stage: Stage) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(*speech(3.0))
            first = talk.until(DELTA)  # nothing has been committed
            talk.send(COMMIT)
            completed = talk.until(COMPLETED)
            assert completed["item_id"] == first["item_id"]
            assert talk.told(first["item_id"]) == completed["transcript"]

    def test_what_was_told_is_not_told_otherwise_when_the_final_reads_otherwise(self, tmp_path: Path) -> None:
        engine = ScriptedEngine(*[say("One two three four")] * 3, say("On two three four five."))
        with staged(tmp_path, ScriptedPool(engine)) as stage, session(stage.client, BUTTON) as talk:
            talk.send(*speech(1.5))
            talk.until(DELTA)
            talk.send(*speech(1.5), COMMIT)
            completed = talk.until(COMPLETED)
            told = talk.told(completed["item_id"])
            assert completed["transcript"].split()[-1] in ("four", "five.")
            assert told.split()[:2] == ["One", "two"]
            assert len(told.split()) == len(completed["transcript"].split())

    def test_logprobs_only_where_they_are_asked_for(self, stage: Stage) -> None:
        asked = BUTTON | {"session": BUTTON["session"] | {"include": ["item.input_audio_transcription.logprobs"]}}
        with session(stage.client, BUTTON) as talk:
            talk.send(*speech(2.0), COMMIT)
            assert talk.until(COMPLETED)["logprobs"] is None
        with session(stage.client, asked) as talk:
            talk.send(*speech(2.0), COMMIT)
            entries = talk.until(COMPLETED)["logprobs"]
            assert "".join(entry["token"] for entry in entries).strip() == talk.transcripts[0]
            assert all(bytes(entry["bytes"]).decode() == entry["token"] for entry in entries)
            assert all(entry["logprob"] == pytest.approx(-0.0513, abs=1e-3) for entry in entries)
            assert all(len(event["logprobs"]) == len(event["delta"].split()) for event in talk.of(DELTA))


class TestSettings:
    def test_they_reach_the_engine(self, stage: Stage) -> None:
        transcription = {"model": "gpt-4o-transcribe", "language": "fr", "prompt": "Bonjour", "keywords": ["Paris"]}
        with session(stage.client, settings(transcription=transcription, turn_detection=None)) as talk:
            talk.send(*speech(1.0), COMMIT)
            talk.until(COMPLETED)
        options = stage.pool.calls[-1].options
        assert options is not None
        assert (options.language, options.prompt) == ("fr", "Bonjour")
        assert [term.text for term in options.keyterms] == ["Paris"]

    def test_without_a_language_it_is_detected_among_those_named(self, stage: Stage) -> None:
        with session(stage.client, settings(transcription={"languages": ["de", "fr"]}, turn_detection=None)) as talk:
            talk.send(*speech(1.0), COMMIT)
            talk.until(COMPLETED)
        options = stage.pool.calls[-1].options
        assert options is not None
        assert (options.language, options.languages) == (None, ("de", "fr"))

    @pytest.mark.parametrize(
        ("format_", "rate", "width"),
        [
            ({"type": "audio/pcm", "rate": 24_000}, 24_000, 2),
            ({"type": "audio/pcm", "rate": 16_000}, 16_000, 2),
            ({"type": "audio/pcmu"}, 8000, 1),
            ({"type": "audio/pcma"}, 8000, 1),
        ],
    )
    def test_sound_is_as_long_as_its_format_says(self, stage: Stage, format_: Any, rate: int, width: int) -> None:
        with session(stage.client, settings(format=format_, turn_detection=None)) as talk:
            talk.send(*[append(b"\x55" * (rate * width // 10))] * 20, COMMIT)
            assert talk.until(COMPLETED)["usage"]["seconds"] == pytest.approx(2.0, abs=0.01)
        assert max(call.samples for call in stage.pool.calls) == pytest.approx(32_000, rel=0.02)

    def test_they_may_change_between_two_items(self, stage: Stage) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(*speech(1.0), COMMIT)
            talk.until(COMPLETED)
            talk.send(settings(transcription={"language": "de"}, format={"type": "audio/pcmu"}))
            assert talk.until("session.updated")["session"]["audio"]["input"]["transcription"]["language"] == "de"
            talk.send(*[append(b"\x55" * 800)] * 15, COMMIT)
            assert talk.until(COMPLETED)["usage"]["seconds"] == pytest.approx(1.5, abs=0.01)
            items = talk.of("conversation.item.added")
            assert items[1]["previous_item_id"] == items[0]["item"]["id"]
        options = stage.pool.calls[-1].options
        assert options is not None
        assert options.language == "de"

    def test_times_go_on_counting_over_a_change(self, turns: Stage) -> None:
        with session(turns.client) as talk:
            talk.send(*speech(3.0))
            talk.until(COMPLETED)
            talk.send(settings(transcription={"language": "de"}), *speech(3.0))
            second = talk.until("input_audio_buffer.speech_started")
            assert second["audio_start_ms"] == pytest.approx(3200, abs=64)  # the script begins anew with the stream

    def test_a_change_keeps_what_was_sent_and_not_committed(self, stage: Stage) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(*speech(1.0), settings(transcription={"language": "de"}), *speech(1.0), COMMIT)
            completed = talk.until(COMPLETED)
            assert completed["transcript"] == "Hello world. How Hello world. How"
            assert completed["usage"]["seconds"] == pytest.approx(2.0)

    def test_a_change_that_changes_nothing_ends_no_stream(self, stage: Stage) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(*speech(1.0), BUTTON, settings(noise_reduction={"type": "near_field"}), *speech(1.0), COMMIT)
            assert talk.until(COMPLETED)["transcript"] == SAID
            heard = talk.of("session.updated")[-1]["session"]["audio"]["input"]
            assert heard["noise_reduction"] == {"type": "near_field"}

    @pytest.mark.parametrize(
        ("heard", "param", "code"),
        [
            ({"transcription": {"language": "xx"}}, "language", "unsupported_language"),
            ({"transcription": {"model": "nonsense"}}, "model", "model_not_found"),
            ({"format": {"type": "audio/mp3"}}, "session.audio.input.format.type", "invalid_value"),
            (
                {"turn_detection": {"type": "server_vad", "threshold": 2}},
                "session.audio.input.turn_detection.threshold",
                None,
            ),
        ],
    )
    def test_what_cannot_be_is_refused_and_nothing_changes(
        self, stage: Stage, heard: Any, param: str, code: str | None
    ) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.send(*speech(1.0), settings(**heard) | {"event_id": "mine"})
            while (event := talk.next())["type"] != "error":
                pass
            assert (event["error"]["param"], event["error"]["event_id"]) == (param, "mine")
            assert code is None or event["error"]["code"] == code
            talk.send(*speech(1.0), COMMIT)
            assert talk.until(COMPLETED)["transcript"] == SAID


class TestBeta:
    def test_its_own_names_and_shapes(self, stage: Stage) -> None:
        update = {
            "type": "transcription_session.update",
            "session": {
                "input_audio_format": "g711_ulaw",
                "input_audio_transcription": {"model": "whisper-1", "language": "en", "prompt": ""},
                "turn_detection": None,
                "input_audio_noise_reduction": {"type": "far_field"},
                "include": ["item.input_audio_transcription.logprobs"],
            },
        }
        with session(stage.client, update, headers=BETA) as talk:
            assert talk.kinds == ["transcription_session.created", "transcription_session.updated"]
            shown = talk.seen[-1]["session"]
            assert {name: shown[name] for name in update["session"]} == update["session"]  # type: ignore[index]
            talk.send(*[append(b"\x55" * 800)] * 10, COMMIT)
            talk.until(COMPLETED)
            assert [kind for kind in talk.kinds if kind.startswith("conversation.item.c")] == ["conversation.item.created"]

    def test_a_session_update_in_its_shape(self, stage: Stage) -> None:
        update = {"type": "session.update", "session": {"turn_detection": {"type": "server_vad"}, "instructions": ""}}
        with session(stage.client, update) as talk:
            assert talk.seen[-1]["session"]["turn_detection"]["silence_duration_ms"] == 500

    def test_an_update_that_fits_both_shapes_keeps_the_clients(self, stage: Stage) -> None:
        for headers, name in ((BETA, "input_audio_format"), ({}, "audio")):
            with session(stage.client, {"type": "session.update", "session": {"include": []}}, headers=headers) as talk:
                assert name in talk.seen[-1]["session"]

    def test_a_client_that_answers_in_the_general_shape_gets_it(self, stage: Stage) -> None:
        with session(stage.client, BUTTON, headers=BETA) as talk:
            assert talk.seen[-1]["session"]["audio"]["input"]["turn_detection"] is None


class TestWrongEvents:
    @pytest.mark.parametrize(
        ("text", "param"),
        [
            ("hello", None),
            ("[1]", None),
            ('{"type":"response.create"}', "type"),
            ("{}", "type"),
            ('{"type":"input_audio_buffer.append"}', "audio"),
            ('{"type":"input_audio_buffer.append","audio":"###"}', "audio"),
            ('{"type":"session.update"}', "session"),
            ('{"type":"session.update","session":{"type":"realtime"}}', "session.type"),
            ('{"type":"session.update","session":{"audio":[]}}', "session.audio"),
        ],
    )
    def test_they_are_answered_and_the_session_goes_on(self, stage: Stage, text: str, param: str | None) -> None:
        with session(stage.client, BUTTON) as talk:
            talk.socket.send_text(text)
            event = talk.next()
            assert event["type"] == "error"
            assert set(event["error"]) == {"type", "code", "message", "param", "event_id"}
            assert event["error"]["param"] == param
            talk.send(*speech(2.0), COMMIT)
            assert talk.until(COMPLETED)["transcript"] == SAID

    def test_binary_messages(self, stage: Stage) -> None:
        with session(stage.client) as talk:
            talk.socket.send_bytes(tone(0.1))
            assert talk.next()["error"]["type"] == "invalid_request_error"

    def test_too_much_at_once(self, stage: Stage) -> None:
        with session(stage.client) as talk:
            talk.send({"type": "input_audio_buffer.append", "audio": "A" * (15 * 1024 * 1024 + 4)})
            assert talk.next()["error"]["code"] == "content_too_large"

    def test_every_event_has_an_id_of_its_own(self, turns: Stage) -> None:
        with session(turns.client) as talk:
            talk.send(*speech(7.0))
            talk.until(COMPLETED)
            talk.until(COMPLETED)
            ids = [event["event_id"] for event in talk.seen]
            assert len(set(ids)) == len(ids)
            assert all(left != right for left, right in pairwise(ids))
            assert json.dumps(talk.seen).count("sess_") == 1
