from __future__ import annotations

import math

import pytest

from app.engines.tokens import Token, TokenSegment, build_segments, build_words, join_words

EOT = 50257


def token(text: str | bytes, p: float = 0.9, at: tuple[int, int] = (-1, -1), number: int = 100) -> Token:
    raw = text.encode() if isinstance(text, str) else text
    return Token(number, raw, p, math.log(p), *at)


def texts(*pieces: str | bytes, language: str = "en") -> list[str]:
    words = build_words([token(piece) for piece in pieces], language, 0.0, 3.0)
    return [word.text for word in words]


def test_a_leading_space_starts_a_word() -> None:
    assert texts(" Good", " mor", "ning", " John", ".") == ["Good", "morning", "John."]


def test_a_character_spread_over_tokens_is_put_together() -> None:
    assert texts(" d", b"\xc3", b"\xad", "as", ".") == ["días."]
    assert texts(" ", b"\xe2\x82", b"\xac", "5") == ["€5"]


def test_bytes_that_are_no_text_are_left_out() -> None:
    assert texts(" ok", b"\xff", " yes", b"\xe2\x82") == ["ok", "yes"]


def test_languages_without_spaces_are_split_by_token() -> None:
    assert texts("你好", "世", "界", "。", language="zh") == ["你好", "世", "界。"]
    assert texts("世", b"\xe7\x95", b"\x8c", language="zh") == ["世", "界"]


def test_latin_runs_and_combining_marks_stay_whole_in_languages_without_spaces() -> None:
    assert texts("用", "i", "Phone", " ", "15", ".", "5", "吧", language="zh") == ["用", "iPhone", "15.5", "吧"]
    assert texts("ก", "็", "น", "ี้", language="th") == ["ก็", "นี้"]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((" Hello", " ,", " you", " ?"), ["Hello,", "you?"]),
        ((" ¿", "Cómo", " estás", "?"), ["¿Cómo", "estás?"]),
        ((" ¿", " Cómo"), ["¿Cómo"]),
        ((" «", " Bonjour", " »"), ["«Bonjour»"]),
        ((" -", " Yes", " —", " no", "."), ["Yes", "no."]),
        ((" R", " &", " D", " 5", " %", " $", " 3"), ["R", "&", "D", "5", "%", "$", "3"]),
        ((" ...",), []),
        ((" rock", "-", "and", "-", "roll"), ["rock-and-roll"]),
    ],
)
def test_punctuation_is_attached_and_symbols_are_kept(pieces: tuple[str, ...], expected: list[str]) -> None:
    assert texts(*pieces) == expected


@pytest.mark.parametrize(
    "pieces",
    [
        (" [", "BL", "ANK", "_", "AUDIO", "]"),
        (" [Music]",),
        (" [", "Mus", "ic"),
        (" (", "cough", "ing", ")"),
        (" *", "laughs", "*"),
        (" ♪", " ♪"),
        (" 【", "音楽", "】"),
    ],
)
def test_sound_descriptions_are_removed_however_they_are_spread(pieces: tuple[str, ...]) -> None:
    assert texts(*pieces) == []
    assert texts(" Yes", *pieces, " no") in (["Yes", "no"], ["Yes"])  # an unclosed bracket takes the rest with it


def test_text_around_sound_descriptions_survives() -> None:
    assert texts(" ♪", " Hello", " world", " ♪", " (", "202", ")", " 555") == ["Hello", "world", "(202)", "555"]


def test_confidence_is_the_geometric_mean_of_the_tokens_with_letters() -> None:
    words = build_words([token(" mor", 0.9), token("ning", 0.4), token(".", 0.01)], "en", 0.0, 1.0)
    assert words[0].confidence == pytest.approx(math.sqrt(0.9 * 0.4))


def test_a_probability_of_zero_does_not_break_the_confidence() -> None:
    words = build_words([Token(5, b" hm", 0.0, -99.0, -1, -1)], "en", 0.0, 1.0)
    assert 0.0 < words[0].confidence < 0.001


def test_times_of_tokens_become_times_of_words() -> None:
    tokens = [token(" mor", at=(50, 70)), token("ning", at=(70, 110)), token(" John", at=(160, 200))]
    words = build_words(tokens, "en", 0.5, 2.0)
    assert [(word.start_s, word.end_s) for word in words] == [(0.5, 1.1), (1.6, 2.0)]


def test_special_tokens_are_dropped_from_text_and_ids() -> None:
    raw = [TokenSegment(0, 100, (token(" Hi", number=7), token("[_TT_50]", number=EOT + 200), token("", number=EOT)))]
    (segment,) = build_segments(raw, "en", EOT, 1.0)
    assert (segment.text, segment.tokens) == ("Hi", (7,))


def test_scores_are_told_where_they_are_asked_for_one_for_each_token() -> None:
    raw = [TokenSegment(0, 100, (token(" Hi", 0.5, number=7), token("!", 0.25, number=8), token("", number=EOT)))]
    (plain,) = build_segments(raw, "en", EOT, 1.0)
    (scored,) = build_segments(raw, "en", EOT, 1.0, scores=True)
    assert plain.scores == ()
    assert [(score.text, score.logprob) for score in scored.scores] == [
        (b" Hi", pytest.approx(math.log(0.5))),
        (b"!", pytest.approx(math.log(0.25))),
    ]
    assert len(scored.scores) == len(scored.tokens)


def test_a_segment_without_words_is_dropped() -> None:
    raw = [TokenSegment(0, 100, (token(" [Music]"),)), TokenSegment(100, 200, (token(" yes"),)), TokenSegment(200, 300, ())]
    assert [segment.text for segment in build_segments(raw, "en", EOT, 3.0)] == ["yes"]


def test_nonsense_segment_times_are_clamped_to_the_audio() -> None:
    # -100728 is what whisper.cpp reports without timestamps
    raw = [TokenSegment(-100728, 3000, (token(" late", at=(-100151, -100151)), token(" word", at=(-1, -1))))]
    (segment,) = build_segments(raw, "en", EOT, 1.5)
    assert segment.start_s == 0.0
    assert segment.end_s == 1.5
    assert [(word.start_s, word.end_s) for word in segment.words] == [(0.0, 0.75), (0.75, 1.5)]


def test_segments_do_not_overlap() -> None:
    raw = [
        TokenSegment(0, 200, (token(" one", at=(0, 200)),)),
        TokenSegment(100, 300, (token(" two", at=(100, 300)),)),
    ]
    first, second = build_segments(raw, "en", EOT, 3.0)
    assert first.end_s <= second.start_s == second.words[0].start_s


def test_segment_text_is_the_joined_words() -> None:
    raw = [TokenSegment(0, 200, (token(" Hello"), token(" ,"), token(" you")))]
    (english,) = build_segments(raw, "en", EOT, 2.0)
    assert english.text == "Hello, you" == join_words(english.words, "en")
    (chinese,) = build_segments([TokenSegment(0, 200, (token("你好"), token("世界")))], "zh", EOT, 2.0)
    assert chinese.text == "你好世界" == join_words(chinese.words, "zh")


def test_log_probability_is_the_mean_over_text_tokens() -> None:
    raw = [TokenSegment(0, 100, (token(" a", 0.5), token(" b", 0.25), token("[_TT_9]", 0.001, number=EOT + 9)))]
    (segment,) = build_segments(raw, "en", EOT, 1.0)
    assert segment.avg_logprob == pytest.approx((math.log(0.5) + math.log(0.25)) / 2)
