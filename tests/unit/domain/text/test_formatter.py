"""The pipeline: what goes before what, and how words find back into their segments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.options import Replacement, TextOptions
from app.domain.text.formatter import Formatter
from app.domain.transcript import Channel, Segment
from tests.support.transcripts import channel, segment, words

EVERYTHING = TextOptions(
    punctuate=True,
    smart_format=True,
    numerals=True,
    measurements=True,
    dictation=True,
    profanity_filter=True,
    redact=("numbers", "pii"),
    replace=(Replacement("hello", "hi"),),
    search=("phone",),
    detect_entities=True,
)


def shown(text: str, language: str = "en", **options: object) -> str:
    formatted = Formatter(TextOptions(**options)).format(words(text), language)  # type: ignore[arg-type]
    return " ".join(word.text for word in formatted.words)


@pytest.mark.parametrize(
    ("spoken", "options", "expected"),
    [
        ("um nine uh hundred people", {}, "nine hundred people"),
        ("um nine hundred people", {"filler_words": True}, "um nine hundred people"),
        ("nine uh hundred people", {"numerals": True}, "900 people"),
        ("five kilograms", {"measurements": True}, "five kg"),
        ("five kilograms", {"measurements": True, "numerals": True}, "5 kg"),
        ("it is five kilograms", {"measurements": True, "smart_format": True}, "it is 5 kg"),
        ("it is fifteen dollars", {"smart_format": True}, "it is $15"),
        ("it is fifteen dollars", {"smart_format": True, "redact": ("money",)}, "it is [MONEY_1]"),
        ("four uh two um seven", {"redact": ("numbers",)}, "[REDACTED]"),
        ("four uh two um seven", {"redact": ("numbers",), "filler_words": True}, "[REDACTED]"),
        ("twenty dollars comma please", {"dictation": True, "punctuate": True, "smart_format": True}, "$20, please"),
        ("twenty comma five", {"dictation": True, "punctuate": True, "numerals": True}, "20, 5"),
        ("one new line two", {"dictation": True, "punctuate": True, "redact": ("aggressive_numbers",)}, "[REDACTED]"),
        ("hello period", {"dictation": True}, "hello period"),
        ("damn it", {"profanity_filter": True, "replace": (Replacement("damn", "darn"),)}, "**** it"),
        ("it is fifteen dollars", {"smart_format": True, "replace": (Replacement("$15", "cheap"),)}, "it is cheap"),
        ("hi new line world", {"dictation": True, "punctuate": True, "replace": (Replacement("hi", "ho"),)}, "ho\n world"),
    ],
)  # fmt: skip
def test_one_step_feeds_the_next(spoken: str, options: dict[str, object], expected: str) -> None:
    assert shown(spoken, **options) == expected


def test_each_stretch_is_read_in_its_own_language() -> None:
    english, spanish = words("twenty people"), words("veinte gatos", start_s=2.0)
    mixed = tuple(replace(word, language="en") for word in english) + tuple(replace(word, language="es") for word in spanish)
    formatted = Formatter(TextOptions(numerals=True)).format(mixed, "en")
    assert [word.text for word in formatted.words] == ["20", "people", "20", "gatos"]
    assert [word.language for word in formatted.words] == ["en", "en", "es", "es"]


class TestEntities:
    def test_point_at_the_words_that_are_displayed(self) -> None:
        options = TextOptions(smart_format=True, detect_entities=True)
        formatted = Formatter(options).format(words("um it is fifteen dollars, or five percent."), "en")
        assert [word.text for word in formatted.words] == ["it", "is", "$15,", "or", "5%."]
        assert [
            (entity.label, entity.start, entity.end, entity.value, entity.raw_value) for entity in formatted.entities
        ] == [
            ("MONEY", 2, 3, "$15", "fifteen dollars"),
            ("PERCENT", 4, 5, "5%", "five percent"),
        ]

    def test_have_deepgrams_name_for_plain_numbers(self) -> None:
        formatted = Formatter(TextOptions(detect_entities=True)).format(words("nine hundred people"), "en")
        assert [(entity.label, entity.value) for entity in formatted.entities] == [("CARDINAL", "nine hundred")]

    def test_show_nothing_of_what_is_redacted(self) -> None:
        options = TextOptions(detect_entities=True, redact=("money",))
        (entity,) = Formatter(options).format(words("it is fifteen dollars."), "en").entities
        assert (entity.value, entity.raw_value, entity.start, entity.end) == ("[MONEY_1]", "[MONEY_1]", 2, 3)

    def test_go_when_their_words_go(self) -> None:
        options = TextOptions(detect_entities=True, replace=(Replacement("fifteen dollars"),))
        assert Formatter(options).format(words("it is fifteen dollars."), "en").entities == ()

    def test_are_for_finals_only(self) -> None:
        formatter = Formatter(TextOptions(detect_entities=True), live=True)
        assert formatter.format(words("fifteen dollars"), "en", interim=True).entities == ()


class TestChannels:
    def segments(self, *texts: str) -> tuple[Segment, ...]:
        made = []
        start_s = 0.0
        for text in texts:
            made.append(segment(words(text, start_s)))
            start_s = made[-1].end_s
        return tuple(made)

    def test_words_stay_in_the_segment_of_their_first_origin(self) -> None:
        given = Channel(self.segments("it is fifteen", "dollars and more"), "en")
        first, second = Formatter(TextOptions(smart_format=True)).format_channel(given).segments
        assert (first.text, first.end_s) == ("it is $15", 2.0)
        assert (second.text, second.start_s) == ("and more", 1.5)
        assert first.tokens == given.segments[0].tokens

    def test_redacted_segments_have_no_tokens_left(self) -> None:
        given = Channel(self.segments("hello", "it is fifteen", "dollars and more", "bye"), "en")
        made = Formatter(TextOptions(redact=("money",))).format_channel(given).segments
        assert [item.text for item in made] == ["hello", "it is [MONEY_1]", "and more", "bye"]
        assert [bool(item.tokens) for item in made] == [True, False, False, True]

    def test_a_segment_of_which_nothing_is_left_goes(self) -> None:
        made = Formatter(TextOptions()).format_channel(Channel(self.segments("hello", "um", "bye um"), "en")).segments
        assert [item.text for item in made] == ["hello", "bye"]

    def test_a_channel_without_work_is_as_it_was(self) -> None:
        given = channel("Hello world. How are you?")
        assert Formatter(TextOptions(punctuate=True, filler_words=True)).format_channel(given) == given

    def test_numbered_redactions_go_on_from_channel_to_channel(self) -> None:
        formatter = Formatter(TextOptions(redact=("money",)))
        texts = [formatter.format_channel(channel(text)).segments[0].text for text in ("$20", "$30", "$20")]
        assert texts == ["[MONEY_1]", "[MONEY_2]", "[MONEY_1]"]

    def test_search_looks_at_redacted_words(self) -> None:
        options = TextOptions(punctuate=True, redact=("money",), search=("it is fifteen dollars", "it is"))
        first, second = Formatter(options).format_channel(channel("it is fifteen dollars")).search
        assert first.hits == ()
        assert second.hits[0].snippet == "it is"


def test_numerals_can_be_switched_without_losing_numbered_redactions() -> None:
    formatter = Formatter(TextOptions(redact=("money",)), live=True)
    formatter.format(words("$20"), "en")
    switched = formatter.with_numerals(True)
    assert [word.text for word in switched.format(words("nine hundred and $30"), "en").words] == ["900", "and", "[MONEY_2]"]
    assert switched.with_numerals(False).format(words("nine hundred"), "en").words == words("nine hundred")


def test_all_options_at_once_work() -> None:
    made = Formatter(EVERYTHING).format_channel(
        channel("Hello comma damn phone 555-123-4567 period um it weighs five kilograms")
    )
    assert " ".join(word.text for word in made.words) == "hi, **** phone [PHONE_NUMBER_1]. It weighs 5 kg"
    assert [hit.snippet for hit in made.search[0].hits] == ["phone"]
    assert [(entity.label, entity.value) for entity in made.entities] == [("PHONE_NUMBER", "[PHONE_NUMBER_1]")]


@pytest.mark.parametrize(
    ("spoken", "query", "options", "found"),
    [
        ("it is twenty five dollars now", "twenty five dollars", {"smart_format": True}, ["$25"]),
        ("it is twenty five dollars now", "$25", {"smart_format": True}, ["$25"]),
        ("open the red door", "red door", {"replace": (Replacement("red", "green"),)}, ["green door"]),
        ("open the zebra door", "zebra", {"replace": (Replacement("zebra"),)}, []),
        ("damn the light", "damn", {"profanity_filter": True}, ["****"]),
        ("my card is four two seven one", "four two seven one", {"redact": ("numbers",)}, []),
        ("my card is four two seven one", "card is four", {"redact": ("numbers",)}, ["card is [REDACTED]"]),
        ("open um the red door", "open the red door", {"numerals": True}, ["open the red door"]),
    ],
)
def test_phrases_are_found_as_heard_and_as_displayed(
    spoken: str, query: str, options: dict[str, object], found: list[str]
) -> None:
    formatter = Formatter(TextOptions(punctuate=True, search=(query,), **options))  # type: ignore[arg-type]
    (result,) = formatter.search(formatter.format(words(spoken, confidence=1.0), "en"), "en")
    assert [hit.snippet for hit in result.hits] == found
