"""A Realtime session without its socket: events of the stream in, texts out, in orders that a test client cannot force."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from app.dialects.openai_realtime import Conversation
from app.dialects.openai_realtime_events import MAX_PARTS, Append, Clear, ClientEvent, Commit, Update, parse_event
from app.dialects.openai_realtime_session import SessionConfig, Shape, TurnDetection
from app.dialects.openai_realtime_update import updated
from app.domain.errors import InvalidParameter, PayloadTooLarge, UnsupportedModel
from app.domain.options import LiveOptions
from app.domain.stream.events import CloseStream, Control, Finalize, KeepAlive, Metadata, Results, SpeechStarted
from app.domain.transcript import Word

RATE = 16_000


def words(text: str, start_s: float = 0.0) -> tuple[Word, ...]:
    return tuple(Word(word, start_s + at * 0.3, start_s + at * 0.3 + 0.25, 0.9) for at, word in enumerate(text.split()))


def final(start_s: float, end_s: float, text: str = "", **more: Any) -> Results:
    given: dict[str, Any] = {"language": "en"} | more
    at, length = round(start_s * RATE), round((end_s - start_s) * RATE)
    return Results(0, 1, at, length, words(text, start_s), is_final=True, **given)


def interim(start_s: float, text: str, stable: int, **more: Any) -> Results:
    said = words(text, start_s)
    at = round(start_s * RATE)
    return Results(0, 1, at, RATE, said, is_final=False, language="en", stable_words=stable, **more)


def onset(at_s: float) -> SpeechStarted:
    return SpeechStarted(0, 1, round(at_s * RATE))


class Talk:
    """A conversation and everything it told."""

    def __init__(self, *, detects: bool = True) -> None:
        config = SessionConfig(turn_detection=TurnDetection() if detects else None)
        self.conversation = Conversation(config, Shape.GENERAL, lambda _: "base")
        self.told: list[Any] = []

    def hear(self, *events: Results | SpeechStarted | Metadata) -> None:
        for event in events:
            self.told += map(json.loads, self.conversation.render(event))

    def take(self, *actions: Any) -> list[bytes | Control | None]:
        items = []
        for action in actions:
            item, told = self.conversation.take(ClientEvent(action))
            items.append(item)
            self.told += map(json.loads, told)
        return items

    def send(self, seconds: float) -> None:
        self.take(Append(b"\0" * round(seconds * 48_000)))

    def of(self, end: str) -> list[Any]:
        return [event for event in self.told if event["type"].endswith(end)]

    @property
    def transcripts(self) -> list[str]:
        return [event["transcript"] for event in self.of("completed")]

    @property
    def deltas(self) -> list[str]:
        return [event["delta"] for event in self.of("delta")]


class TestTurns:
    def test_speech_during_a_turn_does_not_begin_another(self) -> None:
        talk = Talk()
        talk.hear(onset(1.0), onset(1.6), final(0, 3, "one two", speech_final=True), final(3, 7, language=None))
        assert len(talk.of("speech_started")) == 1
        assert talk.transcripts == ["one two"]

    def test_long_speech_is_one_item_of_several_finals(self) -> None:
        talk = Talk()
        talk.hear(
            onset(1.0), final(0, 15, "one two"), final(15, 30, "three"), final(30, 32, language=None, speech_final=True)
        )
        assert talk.transcripts == ["one two three"]
        assert talk.deltas == ["one two", " three"]
        assert talk.of("completed")[0]["usage"]["seconds"] == pytest.approx(31.3)

    def test_words_that_nobody_announced_are_not_lost(self) -> None:
        talk = Talk()
        talk.hear(final(0, 3, "one", speech_final=True))
        assert len(talk.of("speech_started")) == 1
        assert talk.transcripts == ["one"]

    def test_the_padding_never_reaches_into_the_turn_before(self) -> None:
        talk = Talk()
        talk.hear(onset(1.0), final(0, 3, "one", speech_final=True), onset(3.1))
        assert [event["audio_start_ms"] for event in talk.of("speech_started")] == [700, 3000]

    def test_silence_is_no_turn(self) -> None:
        talk = Talk()
        talk.hear(final(0, 4, language=None, speech_final=True), final(4, 8, language=None, speech_final=True))
        assert talk.told == []

    def test_a_turn_of_which_a_part_was_silence_has_not_failed(self) -> None:
        talk = Talk()
        talk.hear(onset(1.0), final(0, 15, "one"), final(15, 20, language=None, speech_final=True))
        assert talk.of("failed") == []

    def test_a_turn_of_which_a_part_was_lost_has_failed(self) -> None:
        talk = Talk()
        talk.hear(onset(1.0), final(0, 15, "one"), final(15, 20, language=None, is_lost=True, speech_final=True))
        assert len(talk.of("failed")) == 1
        assert talk.transcripts == []


class TestCommits:
    def test_finals_that_were_on_their_way_belong_to_the_item_committed(self) -> None:
        """The server had found the end of the turn too, and its news came after the commit."""
        talk = Talk()
        talk.hear(onset(0.5))
        talk.send(4.0)
        assert talk.take(Commit()) == [Finalize()]
        talk.hear(
            final(0, 2.5, "one", speech_final=True), final(2.5, 4, language=None, from_finalize=True, speech_final=True)
        )
        assert talk.transcripts == ["one"]
        assert talk.of("speech_stopped") == []
        assert len(talk.of("committed")) == 1

    def test_speech_after_a_commit_that_is_still_owed_begins_a_turn_of_its_own(self) -> None:
        talk = Talk()
        talk.send(2.0)
        talk.take(Commit())
        talk.hear(onset(0.5), onset(2.0), onset(3.0))
        assert talk.of("speech_started") == []
        talk.hear(final(0, 2.0, "one", from_finalize=True, speech_final=True))
        [started] = talk.of("speech_started")
        assert started["audio_start_ms"] == 2000
        talk.hear(final(2.0, 4.5, "two", speech_final=True))
        assert talk.transcripts == ["one", "two"]
        assert talk.of("completed")[1]["item_id"] == started["item_id"]

    def test_speech_that_goes_on_over_a_commit_begins_a_turn_where_the_stream_had_heard_to(self) -> None:
        """The resampler keeps some milliseconds back, so the stream's end of the item is earlier than the client's."""
        talk = Talk()
        talk.send(2.0)
        talk.take(Commit())
        talk.hear(onset(0.5), onset(1.998), final(0, 1.998, "one", from_finalize=True, speech_final=True))
        assert len(talk.of("speech_started")) == 1

    def test_interims_that_come_late_are_told_of_the_item_committed(self) -> None:
        talk = Talk(detects=False)
        talk.send(1.0)
        talk.take(Commit())
        talk.hear(interim(0, "one two", 1), final(0, 1, "one two", from_finalize=True, speech_final=True))
        [item_id] = {event["item_id"] for event in talk.told if "item_id" in event}
        assert item_id == talk.of("committed")[0]["item_id"]
        assert talk.deltas == ["one", " two"]

    def test_what_is_cleared_tells_nothing_more(self) -> None:
        talk = Talk(detects=False)
        talk.send(1.0)
        assert talk.take(Clear()) == [Finalize()]
        talk.hear(interim(0, "one two", 1), final(0, 1, "one two", from_finalize=True, speech_final=True))
        assert [event["type"] for event in talk.told] == ["input_audio_buffer.cleared"]
        talk.send(0.5)
        talk.take(Commit())
        talk.hear(final(1, 1.5, "three", from_finalize=True, speech_final=True))
        assert talk.transcripts == ["three"]
        assert talk.of("completed")[0]["usage"]["seconds"] == pytest.approx(0.5)

    def test_a_commit_after_the_servers_own_needs_new_audio(self) -> None:
        talk = Talk()
        talk.send(3.05)
        talk.hear(onset(0.5), final(0, 3, "one", speech_final=True))
        assert talk.take(Commit()) == [None]
        assert talk.of("error")[0]["error"]["code"] == "input_audio_buffer_commit_empty"

    def test_a_failure_is_that_of_the_item_that_had_the_speech(self) -> None:
        talk = Talk(detects=False)
        talk.send(1.0)
        talk.take(Commit())
        talk.send(1.0)
        talk.take(Commit())
        talk.hear(onset(1.2), final(0, 1, language=None, from_finalize=True))
        talk.hear(final(1, 2, language=None, from_finalize=True))
        ids = [event["item_id"] for event in talk.of("committed")]
        assert [event["item_id"] for event in talk.of("completed")] == ids[:1]
        assert [event["item_id"] for event in talk.of("failed")] == ids[1:]


class TestDeltas:
    def test_only_stable_words_and_each_once(self) -> None:
        talk = Talk()
        talk.hear(onset(0.5), interim(0.5, "one too", 1), interim(0.5, "one two three", 1), interim(0.5, "one two three", 3))
        talk.hear(final(0, 3, "one two three four", speech_final=True))
        assert talk.deltas[:2] == ["one", " two three"]
        assert "".join(talk.deltas) == "one two three four"

    def test_marks_that_flicker_do_not_repeat_a_word(self) -> None:
        talk = Talk(detects=False)
        talk.hear(interim(0, "Hello world", 2), final(0, 2, "hello, world. Again."))
        assert "".join(talk.deltas) == "Hello world. Again."

    def test_the_mark_at_the_end_of_what_was_heard_waits_for_the_final(self) -> None:
        talk = Talk(detects=False)
        talk.hear(interim(0, "Good morning.", 2), interim(0, "Good morning. John. How", 3))
        assert talk.deltas == ["Good morning", " John."]
        talk.hear(interim(0, "Good morning. John. How?", 4), final(0, 3, "Good morning John. How!"))
        assert talk.deltas[2:] == [" How", "!"]

    def test_a_mark_alone_is_text(self) -> None:
        talk = Talk(detects=False)
        talk.hear(interim(0, "Well ...", 2))
        assert talk.deltas == ["Well ..."]

    def test_a_final_that_reads_otherwise_goes_on_where_the_deltas_ended(self) -> None:
        talk = Talk(detects=False)
        talk.hear(interim(0, "a b", 2), final(0, 2, "x y z"))
        assert "".join(talk.deltas) == "a b z"

    def test_a_shorter_final_adds_nothing(self) -> None:
        talk = Talk(detects=False)
        talk.hear(interim(0, "a b c", 3), final(0, 2, "a"))
        assert talk.deltas == ["a b c"]

    def test_languages_without_spaces(self) -> None:
        talk = Talk(detects=False)
        talk.send(2.0)
        talk.take(Commit())
        talk.hear(final(0, 1, "你 好", language="zh"), final(1, 2, "世 界", language="zh", from_finalize=True))
        assert talk.deltas == ["你好", "世界"]
        assert talk.transcripts == ["你好世界"]


class TestChanges:
    def test_positions_go_on_over_the_streams(self) -> None:
        talk = Talk()
        talk.send(3.0)
        german: Any = {"type": "transcription", "audio": {"input": {"transcription": {"language": "de"}}}}
        assert talk.take(Update(german, is_beta=False)) == [CloseStream()]
        assert talk.conversation.is_restarting
        talk.hear(onset(1.0), final(0, 3, "one", speech_final=True), Metadata(3 * RATE, 1))
        talk.conversation.begin_stream()
        assert not talk.conversation.is_restarting
        talk.hear(onset(1.0), final(0, 2, "two", speech_final=True))
        assert [event["audio_start_ms"] for event in talk.of("speech_started")] == [700, 3700]
        assert [event["audio_end_ms"] for event in talk.of("speech_stopped")] == [3000, 5000]

    def test_the_stream_that_ends_is_still_read_by_its_own_settings(self) -> None:
        talk = Talk()
        talk.hear(onset(1.0))
        talk.take(Update({"audio": {"input": {"turn_detection": None}}}, is_beta=False))
        talk.hear(final(0, 3, "one", speech_final=True))
        assert talk.transcripts == ["one"]

    def test_a_turn_that_the_client_was_to_commit_has_a_start_when_the_server_ends_it(self) -> None:
        talk = Talk(detects=False)
        talk.send(2.0)
        talk.hear(onset(1.0))
        detecting: Any = {"type": "transcription", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
        assert talk.take(Update(detecting, is_beta=False)) == [CloseStream()]
        talk.hear(final(0, 2, "one", speech_final=True), Metadata(2 * RATE, 1))
        talk.conversation.begin_stream()
        talk.hear(onset(0.0), final(0, 1, "two", speech_final=True))
        [started], [stopped] = talk.of("speech_started"), talk.of("speech_stopped")
        assert (started["item_id"], started["audio_start_ms"]) == (stopped["item_id"], 0)
        assert talk.told.index(started) < talk.told.index(stopped)
        assert talk.transcripts == ["one two"]

    def test_what_no_model_can_do_changes_nothing(self) -> None:
        def check(options: LiveOptions) -> str:
            if options.language == "de":
                raise UnsupportedModel(parameter="language")
            return "base"

        conversation = Conversation(SessionConfig(), Shape.GENERAL, check)
        before = conversation.options
        german: Any = {"audio": {"input": {"transcription": {"language": "de"}}}}
        item, told = conversation.take(ClientEvent(Update(german, is_beta=False), "mine"))
        assert (item, conversation.options, conversation.is_restarting) == (None, before, False)
        assert json.loads(told[0])["error"]["event_id"] == "mine"


class TestUpdates:
    def test_what_is_not_named_stays(self) -> None:
        first, _ = updated(SessionConfig(), given(transcription={"model": "base", "language": "de"}), is_beta=False)
        second, _ = updated(first, given(transcription={"prompt": "Hallo"}), is_beta=False)
        assert (second.model, second.language, second.prompt) == ("base", "de", "Hallo")
        third, _ = updated(second, given(transcription=None), is_beta=False)
        assert third == SessionConfig()

    def test_turn_detection_becomes_stream_options(self) -> None:
        asked = {"type": "server_vad", "threshold": 0.9, "prefix_padding_ms": 100, "silence_duration_ms": 800}
        config, _ = updated(SessionConfig(), given(turn_detection=asked), is_beta=False)
        stream = config.live_options().stream
        assert (stream.endpointing_s, stream.speech_on, stream.preroll_s) == (0.8, 0.9, 0.1)
        assert stream.speech_off == pytest.approx(0.75)

    @pytest.mark.parametrize("threshold", [0, 0.1, 1, 1.0])
    def test_thresholds_at_the_edges_make_a_stream(self, threshold: float) -> None:
        config, _ = updated(SessionConfig(), given(turn_detection={"threshold": threshold}), is_beta=False)
        assert config.live_options().stream.speech_on == threshold

    def test_the_longest_padding_makes_a_stream(self) -> None:
        config, _ = updated(SessionConfig(), given(turn_detection={"prefix_padding_ms": 5000}), is_beta=False)
        assert config.live_options().stream.preroll_s == 5.0

    @pytest.mark.parametrize(("eagerness", "silence_s"), [("low", 2.0), ("auto", 1.0), ("high", 0.5), (None, 1.0)])
    def test_semantic_detection_is_silence_too(self, eagerness: str | None, silence_s: float) -> None:
        asked = {"type": "semantic_vad", "eagerness": eagerness}
        config, _ = updated(SessionConfig(), given(turn_detection=asked), is_beta=False)
        assert config.live_options().stream.endpointing_s == silence_s

    @pytest.mark.parametrize(
        ("session", "path"),
        [
            ({"input_audio_format": "mp3"}, "session.input_audio_format"),
            ({"input_audio_transcription": "whisper-1"}, "session.input_audio_transcription"),
            ({"input_audio_transcription": {"prompt": "x" * 1001}}, "session.input_audio_transcription.prompt"),
            ({"turn_detection": {"silence_duration_ms": -1}}, "session.turn_detection.silence_duration_ms"),
            ({"turn_detection": {"silence_duration_ms": 1.5}}, "session.turn_detection.silence_duration_ms"),
            ({"turn_detection": {"threshold": True}}, "session.turn_detection.threshold"),
            ({"turn_detection": {"type": "none"}}, "session.turn_detection.type"),
            ({"include": ["everything"]}, "session.include"),
            ({"include": "everything"}, "session.include"),
            ({"audio": {"input": {"transcription": {"language": 5}}}}, "session.audio.input.transcription.language"),
            (
                {"audio": {"input": {"transcription": {"keywords": ["x y"] * 300}}}},
                "session.audio.input.transcription.keywords",
            ),
            ({"audio": {"input": {"format": {"rate": 100}}}}, "session.audio.input.format.rate"),
            ({"audio": {"input": {"format": "pcm16"}}}, "session.audio.input.format"),
            ({"audio": {"input": {"noise_reduction": 1}}}, "session.audio.input.noise_reduction"),
        ],
    )
    def test_the_culprit_is_named_by_its_path(self, session: Any, path: str) -> None:
        with pytest.raises(InvalidParameter) as caught:
            updated(SessionConfig(), session, is_beta=False)
        assert caught.value.parameter == path


def given(**heard: Any) -> dict[str, Any]:
    return {"type": "transcription", "audio": {"input": heard}}


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[" * 100_000, "null", "5", '"text"', "[]", '{"type":null}', '{"type":{}}', '{"type":"x"}']
)
def test_no_message_breaks_the_reader(text: str) -> None:
    event = parse_event(text)
    assert isinstance(event.action, Exception)


@pytest.mark.parametrize("filling", ["[]", "{}", '""'])
def test_a_message_of_many_parts_is_not_read(filling: str) -> None:
    text = f'{{"type":"input_audio_buffer.commit","x":[{",".join([filling] * MAX_PARTS)}]}}'
    assert isinstance(parse_event(text).action, PayloadTooLarge)
    assert isinstance(parse_event(text[: text.index("x") - 2] + "}").action, Commit)


def test_a_long_type_is_not_repeated_whole() -> None:
    event = parse_event(json.dumps({"type": "x" * 10_000, "event_id": "y" * 10_000}))
    assert len(str(event.action)) < 300
    assert event.event_id is not None
    assert len(event.event_id) < 100


def test_an_empty_append_is_no_audio() -> None:
    talk = Talk()
    assert talk.take(Append(b"")) == [None]


def test_items_of_the_machine_are_only_those_it_knows() -> None:
    talk = Talk()
    talk.send(1.0)
    items: Iterable[object] = talk.take(Append(b"\0\0"), Commit(), Clear())
    assert [type(item) for item in items] == [bytes, Finalize, type(None)]
    assert not any(isinstance(item, KeepAlive) for item in items)
