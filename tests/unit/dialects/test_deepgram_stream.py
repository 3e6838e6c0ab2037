"""Deepgram's live messages in both directions (contract 3.3, 3.4)."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from app.dialects.deepgram_stream import (
    CONTROL_BYTES,
    ECHOED_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    StreamFacts,
    StreamRenderer,
    parse_binary,
    parse_text,
)
from app.domain.options import TextOptions
from app.domain.stream.events import (
    Closed,
    CloseStream,
    Configure,
    ConfigureFailure,
    ConfigureReply,
    Control,
    Finalize,
    KeepAlive,
    Metadata,
    Results,
    SchemaError,
    SegmentLost,
    SpeechStarted,
    StreamEvent,
    Unparsable,
    UtteranceEnd,
)
from app.domain.transcript import RequestWarning, Word
from tests.support.transcripts import MODEL, words

REQUEST_ID = "7f1d7f0e-1111-4a2b-9c3d-000000000001"
CREATED = datetime(2026, 3, 2, 22, 37, 55, 202_000, tzinfo=timezone.utc)


class TestControlMessages:
    @pytest.mark.parametrize(
        ("text", "control"),
        [
            ('{"type":"KeepAlive"}', KeepAlive()),
            ('{ "type" : "KeepAlive" }', KeepAlive()),
            ('\n{"type":\t"CloseStream"}\r\n', CloseStream()),
            ('{"type": "CloseStream", "later": [1, 2]}', CloseStream()),
            ('{"type":"Configure","keyterms":["a"]}', Configure(("a",), None)),
            ('{"type":"Configure","features":{"numerals":true}}', Configure(None, True)),
            ('{"type":"Configure"}', Configure(None, None)),
            ('{"type":"Configure","processors":{},"language_hints":["en"]}', Configure(None, None)),
        ],
    )
    def test_are_read_as_json(self, text: str, control: Control) -> None:
        assert parse_text(text) == control

    @pytest.mark.parametrize(
        ("text", "channel_index"),
        [('{"type":"Finalize"}', None), ('{"type":"Finalize","channel":1}', 1), ('{"type":"Finalize","channel":-1}', -1)],
    )
    def test_finalize_may_name_a_channel(self, text: str, channel_index: int | None) -> None:
        assert parse_text(text) == Finalize(channel_index, text)

    def test_sync_is_ignored_without_an_answer(self) -> None:
        assert parse_text('{"type":"Sync"}') is None

    @pytest.mark.parametrize(
        "text",
        [
            "", "hello", "{", "[]", "null", "1", '"KeepAlive"', "{}", '{"type":null}', '{"type":["KeepAlive"]}',
            '{"type":"keepalive"}', '{"Type":"KeepAlive"}', '{"type":"Speak"}', '{"type":"Finalize","channel":"0"}',
            '{"type":"Finalize","channel":true}', '{"type":"Finalize","channel":1.0}', '{"type":"Configure","keyterms":"a"}',
            '{"type":"Configure","keyterms":[1]}', '{"type":"Configure","features":{"numerals":"yes"}}', "[" * 100_000,
            r'{"type":"Configure","keyterms":["\ud800"]}',
        ],
    )  # fmt: skip
    def test_everything_else_is_unparsable(self, text: str) -> None:
        assert parse_text(text) == Unparsable(text[:ECHOED_CHARACTERS])

    def test_what_is_too_long_to_say_anything_is_not_read(self) -> None:
        longest = '{"type":"KeepAlive"}'.ljust(MAX_TEXT_CHARACTERS)
        assert parse_text(longest) == KeepAlive()
        assert parse_text(longest + " ") == Unparsable(longest[:ECHOED_CHARACTERS])

    def test_a_long_message_is_repeated_in_part(self) -> None:
        assert parse_text("x" * 1_000_000) == Unparsable("x" * ECHOED_CHARACTERS)


class TestBinaryMessages:
    def test_an_empty_one_ends_the_stream(self) -> None:
        assert parse_binary(b"") == CloseStream()

    @pytest.mark.parametrize(
        ("data", "control"),
        [
            (b'{"type":"CloseStream"}', CloseStream()),
            (b'{"type": "CloseStream"}', CloseStream()),
            (b'{"type":"KeepAlive"}', KeepAlive()),
            (b'{"type":"Finalize"}', Finalize(None, '{"type":"Finalize"}')),
            (b'{"type":"KeepAlive"}'.ljust(CONTROL_BYTES), KeepAlive()),
        ],
    )
    def test_a_short_one_may_be_a_control_message(self, data: bytes, control: Control) -> None:
        assert parse_binary(data) == control

    @pytest.mark.parametrize(
        "data",
        [
            b"\x00",
            b"{" * 10,
            b"{}",
            b'{"type":"Hello"}',
            b'{"type":"\xff\xfe"}',
            b' {"type":"CloseStream"}',
            b'{"type":"CloseStream"}'.ljust(CONTROL_BYTES + 1),
            bytes(range(64)),
        ],
    )
    def test_all_others_are_audio(self, data: bytes) -> None:
        assert parse_binary(data) is None


def renderer(text: TextOptions | None = None, **given: Any) -> StreamRenderer:
    facts = StreamFacts(REQUEST_ID, MODEL, CREATED, given.pop("extra", ()))
    return StreamRenderer(facts, text or TextOptions(), given.pop("language", "en"), **given)


def rendered(event: StreamEvent, by: StreamRenderer | None = None) -> Any:
    message = (by or renderer()).render(event, "ab" * 32)
    assert message is not None
    assert "\n" not in message
    return json.loads(message)


def final(spoken: tuple[Word, ...], **given: Any) -> Results:
    return Results(0, 1, 0, 32_000, spoken, is_final=True, speech_final=True, **given)


class TestResults:
    def test_have_every_field_of_the_contract_in_its_order(self) -> None:
        message = renderer().render(final(words("Hello")), "")
        assert message == (
            '{"type":"Results","channel_index":[0,1],"duration":2.0,"start":0.0,"is_final":true,"speech_final":true,'
            '"channel":{"alternatives":[{"transcript":"hello","confidence":0.9,'
            '"words":[{"word":"hello","start":0.0,"end":0.5,"confidence":0.9}]}]},'
            f'"metadata":{{"request_id":"{REQUEST_ID}",'
            f'"model_info":{{"name":"selftest","version":"2026-11-20.0","arch":"whisper"}},"model_uuid":"{MODEL.uuid}"}},'
            '"from_finalize":false}'
        )

    def test_tile_the_time_to_the_millisecond_wherever_they_are_cut(self) -> None:
        start_samples, said_until_s = 0, 0.0
        for length in (8371, 11749, 17369, 951, 15258):
            event = Results(0, 1, start_samples, length, (), is_final=True)
            message = rendered(event)
            assert message["start"] == said_until_s
            start_samples += length
            said_until_s = round(message["start"] + message["duration"], 3)
            assert said_until_s == pytest.approx(start_samples / 16_000, abs=0.000_501)

    def test_without_words_are_empty_but_complete(self) -> None:
        message = rendered(Results(1, 2, 16_000, 8_000, (), is_final=False))
        assert message["channel"]["alternatives"] == [{"transcript": "", "confidence": 0.0, "words": []}]
        assert (message["channel_index"], message["start"], message["duration"]) == ([1, 2], 1.0, 0.5)
        assert (message["is_final"], message["speech_final"], message["from_finalize"]) == (False, False, False)

    def test_say_when_the_client_asked_for_them(self) -> None:
        assert rendered(final((), from_finalize=True))["from_finalize"] is True

    def test_say_that_there_was_speech_which_nobody_could_recognise(self) -> None:
        one = renderer()
        assert [each["type"] for each in rendered(final((), is_lost=True), one)["metadata"]["warnings"]] == ["lost_speech"]
        assert "warnings" not in rendered(final(()), one)["metadata"]

    def test_show_words_as_written_only_when_asked_for(self) -> None:
        spoken = words("Hello, World.")
        [plain] = rendered(final(spoken))["channel"]["alternatives"]
        [marked] = rendered(final(spoken), renderer(TextOptions(punctuate=True)))["channel"]["alternatives"]
        assert plain["transcript"] == "hello world"
        assert not any("punctuated_word" in word for word in plain["words"])
        assert marked["transcript"] == "Hello, World."
        assert [word["punctuated_word"] for word in marked["words"]] == ["Hello,", "World."]
        assert [word["word"] for word in marked["words"]] == ["hello", "world"]

    def test_leave_out_fillers_unless_they_are_wanted(self) -> None:
        spoken = words("Uh call um me")
        [without] = rendered(final(spoken))["channel"]["alternatives"]
        [kept] = rendered(final(spoken), renderer(TextOptions(filler_words=True)))["channel"]["alternatives"]
        assert without["transcript"] == "call me"
        assert kept["transcript"] == "uh call um me"

    def test_name_the_language_at_each_word_of_a_mixed_talk(self) -> None:
        by = renderer(code_switching=True)
        [alternative] = rendered(final(words("Hola"), language="es"), by)["channel"]["alternatives"]
        assert alternative["languages"] == ["es"]
        assert [word["language"] for word in alternative["words"]] == ["es"]

    def test_never_hold_an_empty_list_of_languages(self) -> None:
        """Clients read its first element whenever the key is there."""
        [alternative] = rendered(final(()), renderer(code_switching=True))["channel"]["alternatives"]
        assert "languages" not in alternative

    def test_do_not_name_a_language_that_the_client_chose(self) -> None:
        [alternative] = rendered(final(words("Hola"), language="es"), renderer(language="es"))["channel"]["alternatives"]
        assert "languages" not in alternative
        assert "language" not in alternative["words"][0]

    def test_repeat_the_labels_of_the_handshake(self) -> None:
        message = rendered(final(()), renderer(extra=(("order", "17"),)))
        assert message["metadata"]["extra"] == {"order": "17"}


class TestOtherMessages:
    def test_names_what_was_not_measured(self) -> None:
        doubts = [RequestWarning("model", "estimated_word_times", "They are spread.")]
        found = rendered(Metadata(0, 0), renderer(doubts=lambda: doubts))["warnings"]
        assert found == [{"parameter": "model", "type": "estimated_word_times", "message": "They are spread."}]
        assert "warnings" not in rendered(Metadata(0, 0))

    def test_metadata_sums_the_stream_up(self) -> None:
        message = rendered(Metadata(200_000, 2))
        assert list(message.items()) == [
            ("type", "Metadata"),
            ("transaction_key", "deprecated"),
            ("request_id", REQUEST_ID),
            ("sha256", "ab" * 32),
            ("created", "2026-03-02T22:37:55.202Z"),
            ("duration", 12.5),
            ("channels", 2),
            ("models", [MODEL.uuid]),
            ("model_info", {MODEL.uuid: {"name": "selftest", "version": "2026-11-20.0", "arch": "whisper"}}),
        ]
        assert rendered(Metadata(0, 0), renderer(extra=(("a", "b"),)))["extra"] == {"a": "b"}

    def test_speech_started(self) -> None:
        expected = {"type": "SpeechStarted", "channel": [1, 2], "timestamp": 1.25}
        assert rendered(SpeechStarted(1, 2, 20_000)) == expected

    def test_utterance_end(self) -> None:
        assert rendered(UtteranceEnd(0, 1, 2.395)) == {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 2.395}

    def test_schema_error_repeats_the_message(self) -> None:
        message = rendered(SchemaError("hello"))
        assert list(message) == ["type", "variant", "description", "message"]
        assert (message["type"], message["variant"], message["message"]) == ("Error", "SchemaError", "hello")
        assert message["description"].startswith("Could not deserialize last text message: ")

    def test_configure_is_answered_with_what_was_accepted(self) -> None:
        assert rendered(ConfigureReply(Configure((), None))) == {
            "type": "ConfigureSuccess",
            "request_id": REQUEST_ID,
            "keyterms": [],
        }
        assert "keyterms" not in rendered(ConfigureReply(Configure(None, False)))

    @pytest.mark.parametrize("failure", list(ConfigureFailure))
    def test_configure_is_refused_with_a_code_of_deepgrams(self, failure: ConfigureFailure) -> None:
        message = rendered(ConfigureReply(Configure(), failure))
        assert list(message) == ["type", "request_id", "code", "description"]
        assert message["type"] == "ConfigureFailure"
        assert message["code"] in {"CONFIGURE_KEYTERMS_NOT_SUPPORTED", "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"}

    @pytest.mark.parametrize("event", [SegmentLost(0, 0, 1), Closed(1000)])
    def test_what_is_not_for_clients_is_not_sent(self, event: StreamEvent) -> None:
        assert renderer().render(event, "") is None
