"""Text options on the wire: what the query may ask, and what the words look like in both kinds of answer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from app.dialects.deepgram_live import parse_live
from app.dialects.deepgram_options import parse_listen
from app.dialects.deepgram_rest import RequestFacts, render_response
from app.dialects.deepgram_stream import StreamFacts, StreamRenderer
from app.domain.errors import InvalidParameter
from app.domain.options import Replacement, TextOptions, TranscribeOptions
from app.domain.stream.events import Configure, ConfigureReply, Results
from app.domain.text.formatter import Formatter
from app.domain.transcript import Channel, Transcript, Word
from tests.support.transcripts import MODEL, channel, segment, words

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def asked(query: str) -> TextOptions:
    recording = parse_listen(query.encode(), 20).options.text
    assert parse_live(query.encode(), 20).options.text == recording
    return recording


def rest(given: Channel, text: TextOptions, **options: Any) -> dict[str, Any]:
    facts = RequestFacts("2479c8c8-8185-40ac-9ac6-f0874419f793", NOW, "ab" * 32)
    transcript = Transcript((Formatter(text).format_channel(given),), 60.0, MODEL)
    results: dict[str, Any] = orjson.loads(render_response(transcript, TranscribeOptions(text=text, **options), facts))[
        "results"
    ]
    return results


class TestQuery:
    @pytest.mark.parametrize(
        "name", ["smart_format", "numerals", "measurements", "dictation", "profanity_filter", "detect_entities"]
    )
    def test_switches_are_off_unless_asked_for(self, name: str) -> None:
        assert not getattr(asked(""), name)
        assert getattr(asked(f"{name}=True"), name)
        assert not getattr(asked(f"{name}=false"), name)

    @pytest.mark.parametrize(
        ("query", "rules"),
        [
            ("", ()),
            ("redact=false", ()),
            ("redact=true", ("numbers",)),
            ("redact", ("numbers",)),
            ("redact=PCI&redact=ssn&redact=pci", ("pci", "ssn")),
            ("redact=pci,ssn,", ("pci", "ssn")),
            ("redact=" + quote("['pii', 'numbers']"), ("pii", "numbers")),
            ("redact=name_given&redact=aggressive_numbers", ("name_given", "aggressive_numbers")),
        ],
    )
    def test_redact_names_groups_and_types(self, query: str, rules: tuple[str, ...]) -> None:
        assert asked(query).redact == rules

    @pytest.mark.parametrize(
        ("query", "rules"),
        [
            ("replace=this:that", (Replacement("this", "that"),)),
            ("replace=this", (Replacement("this"),)),
            ("replace=this:", (Replacement("this"),)),
            ("replace=noon:12:00&replace=a+b:c", (Replacement("noon", "12:00"), Replacement("a b", "c"))),
        ],
    )
    def test_replace_splits_at_the_first_colon(self, query: str, rules: tuple[Replacement, ...]) -> None:
        assert asked(query).replace == rules

    def test_search_holds_phrases(self) -> None:
        assert asked("search=a+b&search=C&search=").search == ("a b", "C")

    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            ("redact=everything", "redact"),
            ("redact=pci&redact=cardinal", "redact"),
            ("redact=pci,percent", "redact"),
            ("replace=:that", "replace"),
            ("replace=", "replace"),
            ("replace=+:x", "replace"),
            ("&".join(["replace=a:b"] * 201), "replace"),
            ("&".join(["search=a"] * 26), "search"),
            ("smart_format=maybe", "smart_format"),
            ("numerals=2", "numerals"),
            ("dictation=x", "dictation"),
        ],
    )
    def test_what_cannot_be_used_is_refused_by_name(self, query: str, parameter: str) -> None:
        for parse in (parse_listen, parse_live):
            with pytest.raises(InvalidParameter) as caught:
                parse(query.encode(), 20)
            assert caught.value.parameter == parameter
            assert caught.value.message.startswith(f"Failed to deserialize query parameters: {parameter}: ")

    def test_the_most_that_is_allowed_is_allowed(self) -> None:
        text = asked("&".join(["replace=a:b"] * 200 + ["search=a"] * 25))
        assert (len(text.replace), len(text.search)) == (200, 25)

    def test_what_a_stream_cannot_redact_is_named_for_the_log(self) -> None:
        assert parse_live(b"redact=pci&redact=occupation", 20).without_effect == ("redact=occupation",)


class TestWords:
    def test_a_formatted_word_shows_its_form_in_both_fields(self) -> None:
        alternative = rest(channel("It is fifteen dollars."), TextOptions(punctuate=True, smart_format=True))["channels"][0][
            "alternatives"
        ][0]
        assert alternative["words"][-1] == {
            "word": "$15", "start": 1.0, "end": 2.0, "confidence": 0.9, "punctuated_word": "$15."
        }  # fmt: skip

    def test_without_punctuation_formatted_words_stay_formatted(self) -> None:
        text = TextOptions(numerals=True, profanity_filter=True, replace=(Replacement("people", "Folks"),))
        alternative = rest(channel("Damn, nine hundred People."), text)["channels"][0]["alternatives"][0]
        assert alternative["transcript"] == "**** 900 Folks"

    def test_keys_stand_in_deepgrams_order(self) -> None:
        spoken = (Word("Hi.", 0.0, 0.5, 0.9, language="en", speaker=1, speaker_confidence=0.75),)
        text = TextOptions(punctuate=True)
        rendered = rest(Channel((segment(spoken),), "en"), text, code_switching=True)["channels"][0]["alternatives"][0]
        assert rendered["words"] == [
            {
                "word": "hi", "start": 0.0, "end": 0.5, "confidence": 0.9, "language": "en", "speaker": 1,
                "speaker_confidence": 0.75, "punctuated_word": "Hi.",
            }
        ]  # fmt: skip
        assert list(rendered["words"][0]) == [
            "word", "start", "end", "confidence", "language", "speaker", "speaker_confidence", "punctuated_word"
        ]  # fmt: skip


class TestSpeakers:
    def results(self) -> dict[str, Any]:
        spoken = words("How are you? Fine. Thanks. Good.")
        said = tuple(
            replace(word, speaker=speaker, speaker_confidence=0.8)
            for word, speaker in zip(spoken, (0, 0, 0, 1, 1, 0), strict=True)
        )
        return rest(Channel((segment(said),), "en"), TextOptions(punctuate=True, paragraphs=True, utterances=True))

    def test_paragraphs_name_each_new_speaker(self) -> None:
        paragraphs = self.results()["channels"][0]["alternatives"][0]["paragraphs"]
        assert paragraphs["transcript"] == "\nSpeaker 0: How are you?\n\nSpeaker 1: Fine. Thanks.\n\nSpeaker 0: Good."
        assert [paragraph["speaker"] for paragraph in paragraphs["paragraphs"]] == [0, 1, 0]
        assert list(paragraphs["paragraphs"][0]) == ["sentences", "speaker", "num_words", "start", "end"]

    def test_a_speaker_who_goes_on_is_not_named_again(self) -> None:
        said = tuple(replace(word, speaker=0) for word in words("A. B. C. D. E. F."))
        results = rest(Channel((segment(said),), "en"), TextOptions(punctuate=True, paragraphs=True))
        paragraphs = results["channels"][0]["alternatives"][0]["paragraphs"]
        assert paragraphs["transcript"] == "\nSpeaker 0: A. B. C. D. E.\n\nF."

    def test_utterances_have_one_speaker_each(self) -> None:
        utterances = self.results()["utterances"]
        assert [(item["transcript"], item["speaker"]) for item in utterances] == [
            ("How are you?", 0), ("Fine. Thanks.", 1), ("Good.", 0)
        ]  # fmt: skip
        assert list(utterances[0])[-2:] == ["speaker", "id"]


class TestEntitiesAndSearch:
    TEXT = TextOptions(punctuate=True, smart_format=True, detect_entities=True, search=("it is", "zebra"))

    def test_recordings_have_entities_in_the_alternative_and_search_in_the_channel(self) -> None:
        (rendered,) = rest(channel("It is fifteen dollars."), self.TEXT)["channels"]
        assert rendered["alternatives"][0]["entities"] == [
            {
                "label": "MONEY",
                "value": "$15",
                "raw_value": "fifteen dollars",
                "confidence": 0.9,
                "start_word": 2,
                "end_word": 3,
            }
        ]
        assert rendered["search"] == [
            {"query": "it is", "hits": [{"confidence": 0.9, "start": 0.0, "end": 1.0, "snippet": "It is"}]},
            {"query": "zebra", "hits": []},
        ]

    def test_nothing_found_is_an_empty_list_and_nothing_asked_no_key(self) -> None:
        (rendered,) = rest(channel(""), self.TEXT)["channels"]
        assert rendered["alternatives"][0]["entities"] == []
        assert [found["hits"] for found in rendered["search"]] == [[], []]
        (plain,) = rest(channel("It is fifteen dollars."), TextOptions())["channels"]
        assert "search" not in plain
        assert "entities" not in plain["alternatives"][0]


class TestStreams:
    def live(self, text: TextOptions) -> StreamRenderer:
        return StreamRenderer(StreamFacts("id", MODEL, NOW), text, "en")

    def say(self, renderer: StreamRenderer, text: str, *, is_final: bool = True) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(str(renderer.render(Results(0, 1, 0, 160_000, words(text), is_final), "")))
        return message

    def transcript(self, renderer: StreamRenderer, text: str, *, is_final: bool = True) -> str:
        return str(self.say(renderer, text, is_final=is_final)["channel"]["alternatives"][0]["transcript"])

    def test_finals_carry_entities_and_everything_carries_search(self) -> None:
        renderer = self.live(TestEntitiesAndSearch.TEXT)
        final, interim = (self.say(renderer, "It is fifteen dollars.", is_final=kind) for kind in (True, False))
        assert [entity["label"] for entity in final["entities"]] == ["MONEY"]
        assert "entities" not in interim
        assert [len(found["hits"]) for found in final["channel"]["search"]] == [1, 0]
        assert len(interim["channel"]["search"]) == 2

    def test_numbered_redactions_go_on_and_interims_have_none(self) -> None:
        renderer = self.live(TextOptions(redact=("money",)))
        assert self.transcript(renderer, "it is $20", is_final=False) == "it is [REDACTED]"
        assert self.transcript(renderer, "it is $20") == "it is [MONEY_1]"
        assert self.transcript(renderer, "it is $30") == "it is [MONEY_2]"

    def test_each_channel_goes_on_with_its_own_number(self) -> None:
        renderer = self.live(TextOptions(redact=("pci",)))

        def shown(channel_index: int, text: str) -> str:
            rendered = renderer.render(Results(channel_index, 2, 0, 160_000, words(text), True), "")
            return str(json.loads(str(rendered))["channel"]["alternatives"][0]["transcript"])

        assert shown(0, "my card is four one") == "my card is four one"
        assert shown(1, "two nine is my room") == "two nine is my room"
        assert shown(0, "two nine") == "[REDACTED]"

    def test_configure_switches_numerals(self) -> None:
        renderer = self.live(TextOptions())
        assert self.transcript(renderer, "nine hundred") == "nine hundred"
        renderer.render(ConfigureReply(Configure(numerals=True)), "")
        assert self.transcript(renderer, "nine hundred") == "900"
        renderer.render(ConfigureReply(Configure(keyterms=())), "")
        assert self.transcript(renderer, "nine hundred") == "900"
        renderer.render(ConfigureReply(Configure(numerals=False)), "")
        assert self.transcript(renderer, "nine hundred") == "nine hundred"

    def test_measurements_are_for_recordings_only(self) -> None:
        assert self.transcript(self.live(TextOptions(measurements=True)), "five kilograms") == "five kilograms"

    def test_words_name_their_speaker_without_its_confidence(self) -> None:
        said = (Word("Hi.", 0.0, 0.5, 0.9, speaker=1, speaker_confidence=0.75),)
        message = json.loads(str(self.live(TextOptions()).render(Results(0, 1, 0, 16_000, said, True), "")))
        assert message["channel"]["alternatives"][0]["words"] == [
            {"word": "hi", "start": 0.0, "end": 0.5, "confidence": 0.9, "speaker": 1}
        ]
