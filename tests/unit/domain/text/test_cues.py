from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.text.cue_lines import columns
from app.domain.text.cues import Cue, CueLimits, build_cues
from app.domain.transcript import Word
from tests.support.transcripts import words


def texts(cues: list[Cue]) -> list[str]:
    return [" / ".join(cue.lines) for cue in cues]


def spoken(*items: tuple[str, float, float]) -> list[Word]:
    return [Word(text, start_s, end_s, 0.9) for text, start_s, end_s in items]


class TestDivision:
    def test_each_sentence_has_its_own_cue(self) -> None:
        assert texts(build_cues(words("Hello world. How are you?"), "en")) == ["Hello world.", "How are you?"]

    def test_sentences_in_a_hurry_share_one(self) -> None:
        assert texts(build_cues(words("Yes. No. Maybe not.", word_s=0.2), "en")) == ["Yes. No. Maybe not."]

    def test_a_pause_ends_a_cue(self) -> None:
        assert texts(build_cues(words("well | then"), "en")) == ["well", "then"]

    def test_a_change_of_voice_ends_a_cue(self) -> None:
        said = [Word("Is", 0.0, 0.2, 1.0, speaker=0), Word("it", 0.2, 0.4, 1.0, speaker=1), Word("so?", 0.4, 0.6, 1.0)]
        cues = build_cues(said, "en")
        assert [(cue.text, cue.speaker) for cue in cues] == [("Is", 0), ("it", 1), ("so?", None)]

    def test_a_long_sentence_is_cut_evenly_and_after_a_clause(self) -> None:
        sentence = (
            "When the rain had stopped at last and the wind was still, we went down to the harbour and looked at the boats."
        )
        cues = build_cues(words(sentence, word_s=0.3), "en")
        assert texts(cues) == [
            "When the rain had stopped at / last and the wind was still,",
            "we went down to the harbour / and looked at the boats.",
        ]

    def test_what_takes_too_long_is_cut(self) -> None:
        slow = words("a b c d e f", word_s=2.0)
        assert all(cue.end_ms - cue.start_ms <= 7000 for cue in build_cues(slow, "en"))
        assert len(build_cues(slow, "en")) == 2

    def test_a_word_drawn_out_does_not_stand_forever(self) -> None:
        assert build_cues(spoken(("Oooh", 1.0, 30.0)), "en")[0].end_ms == 8000


class TestTimes:
    def test_a_short_cue_stays_to_be_read_but_not_over_the_end_or_the_next_one(self) -> None:
        hm = spoken(("Hm.", 1.0, 1.2))
        assert build_cues(hm, "en")[0].end_ms == 1833
        assert build_cues(hm, "en", until_s=1.5)[0].end_ms == 1500
        other = Word("No.", 1.5, 3.0, 0.9, speaker=1)
        assert [(cue.start_ms, cue.end_ms) for cue in build_cues([*hm, other], "en")] == [(1000, 1500), (1500, 3000)]

    def test_milliseconds_are_rounded_not_cut(self) -> None:
        cue = build_cues(spoken(("Hi.", 2.3, 4.6)), "en")[0]
        assert (cue.start_ms, cue.end_ms) == (2300, 4600)

    def test_words_at_the_same_moment_are_still_seen(self) -> None:
        same = [Word("a", 1.0, 1.0, 0.9, speaker=0), Word("b", 1.0, 1.0, 0.9, speaker=1)]
        assert [(cue.start_ms, cue.end_ms) for cue in build_cues(same, "en")] == [(1000, 1001), (1001, 1834)]


class TestText:
    def test_a_short_cue_is_one_line_and_a_long_one_two_of_like_width(self) -> None:
        assert texts(build_cues(words("Not much to say."), "en")) == ["Not much to say."]
        sentence = "This is a sentence that does not fit on a single line."
        assert texts(build_cues(words(sentence, word_s=0.2), "en")) == [
            "This is a sentence that does / not fit on a single line."
        ]

    def test_a_formatted_word_with_spaces_may_be_broken_at_them(self) -> None:
        said = spoken(("November 2, 2022", 0.0, 3.0), ("it was.", 3.0, 4.0))
        cues = build_cues(said, "en", CueLimits(line_length=11, lines=1))
        assert texts(cues) == ["November 2,", "2022", "it was."]
        assert [cue.start_ms for cue in cues] == [0, 2143, 3000]

    @pytest.mark.parametrize("text", ["First.\n", "First.\n\n", "First. \n \n"])
    def test_a_dictated_line_end_starts_a_cue_and_leaves_no_empty_line(self, text: str) -> None:
        said = spoken((text, 0.0, 1.0), ("second", 1.0, 2.0))
        assert texts(build_cues(said, "en")) == ["First.", "second"]
        apart = spoken(("First.", 0.0, 0.8), ("\n", 0.8, 1.0), ("second", 1.0, 2.0))
        assert texts(build_cues(apart, "en")) == ["First.", "second"]

    def test_words_without_text_are_nothing(self) -> None:
        assert build_cues(spoken(("", 0.0, 1.0), ("\n", 1.0, 2.0), (" ", 2.0, 3.0)), "en") == []

    def test_languages_without_spaces_are_joined_and_broken_without(self) -> None:
        said = spoken(
            *((character, i * 0.1, i * 0.1 + 0.1) for i, character in enumerate("今天的天气非常好我们一起去公园散步吧好吗"))
        )
        assert texts(build_cues(said, "zh", CueLimits(line_length=20))) == ["今天的天气非常好我们 / 一起去公园散步吧好吗"]

    def test_one_long_word_of_such_a_language_is_broken_by_character_but_never_before_a_full_stop(self) -> None:
        said = spoken(
            ("今天的天气非常好,我们去公园。", 0.0, 3.0),
        )
        cues = build_cues(said, "zh", CueLimits(line_length=14, lines=3))
        assert [columns(line) <= 14 for cue in cues for line in cue.lines] == [True] * sum(len(cue.lines) for cue in cues)
        assert "".join(line for cue in cues for line in cue.lines) == said[0].text
        assert not any(line.startswith((",", "。")) for cue in cues for line in cue.lines)

    def test_marks_on_other_characters_take_no_room_and_wide_characters_take_two_columns(self) -> None:
        assert columns("กำ่") == 2
        assert columns("नमस्ते") < 6
        assert columns("好") == 2

    def test_an_address_is_never_broken(self) -> None:
        address = "https://example.org/" + "x" * 60
        assert texts(build_cues(spoken(("See", 0, 1), (address, 1, 2)), "en")) == [f"See / {address}"]


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from(" \n"), max_size=60)
SECONDS = st.floats(0, 20_000, allow_nan=False)


@st.composite
def any_words(draw: st.DrawFn) -> list[Word]:
    return [
        Word(draw(TEXT), draw(SECONDS), draw(SECONDS), 0.5, speaker=draw(st.none() | st.integers(0, 2)))
        for _ in range(draw(st.integers(0, 12)))
    ]


@settings(max_examples=200, deadline=None)
@given(any_words(), st.sampled_from(["en", "zh", "th"]), st.integers(10, 60), st.integers(1, 4), st.none() | SECONDS)
def test_any_words_give_ordered_cues_with_all_their_text(
    said: list[Word], language: str, line_length: int, lines: int, until_s: float | None
) -> None:
    cues = build_cues(said, language, CueLimits(line_length, lines), until_s)
    assert all(cue.start_ms < cue.end_ms for cue in cues)
    assert all(one.end_ms <= two.start_ms for one, two in pairwise(cues))
    assert all(1 <= len(cue.lines) <= lines for cue in cues)
    assert all(line and line == line.strip() and "\n" not in line for cue in cues for line in cue.lines)
    shown = "".join("".join(line.split()) for cue in cues for line in cue.lines)
    assert shown == "".join("".join(word.text.split()) for word in said)
    if language == "en":
        assert " ".join(line for cue in cues for line in cue.lines).split() == " ".join(word.text for word in said).split()
    for cue in cues:
        for line in cue.lines:
            assert columns(line) <= line_length or " " not in line


def test_an_hour_of_words_without_a_full_stop_is_divided_in_one_pass() -> None:
    endless = words(" ".join(["and so on"] * 4000), word_s=0.3)
    cues = build_cues(endless, "en")
    assert sum(len(line.split()) for cue in cues for line in cue.lines) == 12_000
