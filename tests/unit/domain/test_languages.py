from __future__ import annotations

import pytest

from app.domain.errors import UnsupportedModel
from app.domain.languages import (
    LANGUAGES,
    MULTI,
    NO_SPACE_LANGUAGES,
    WHISPER_LANGUAGES,
    WHISPER_V3_LANGUAGES,
    known_code,
    language_name,
    phrase_language,
    whisper_language,
)
from app.domain.transcript import LanguageGuess


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en", "en"), ("en-US", "en"), ("EN-us", "en"), ("en_GB", "en"), (" en ", "en"), ("es-419", "es"),
        ("es-LATAM", "es"), ("pt-BR", "pt"), ("nl-BE", "nl"), ("de-CH", "de"), ("hi-Latn", "hi"), ("zh", "zh"),
        ("zh-CN", "zh"), ("zh-TW", "zh"), ("zh-Hans", "zh"), ("zh-Hant", "zh"), ("zh-HK", "yue"), ("zh-Hant-HK", "yue"),
        ("nb", "no"), ("nb-NO", "no"), ("fil", "tl"), ("iw", "he"), ("jv", "jw"), ("nn", "nn"), ("haw", "haw"),
        ("yue", "yue"),
    ],
)  # fmt: skip
def test_a_tag_becomes_whispers_code(tag: str, code: str) -> None:
    assert whisper_language(tag) == code


@pytest.mark.parametrize("tag", ["taq", "xx", "", "english", "e", "en-", "en US", "en;q=1", "../en", MULTI, "auto"])
def test_other_tags_are_refused_as_the_languages_fault(tag: str) -> None:
    with pytest.raises(UnsupportedModel) as refused:
        whisper_language(tag)

    assert refused.value.parameter == "language"


def test_whisper_knows_a_hundred_languages_of_which_cantonese_came_last() -> None:
    assert len(WHISPER_V3_LANGUAGES) == 100
    assert (*WHISPER_LANGUAGES, "yue") == WHISPER_V3_LANGUAGES
    assert len(set(LANGUAGES.values())) == 100


def test_every_known_code_is_its_own_tag() -> None:
    assert [whisper_language(code) for code in LANGUAGES] == list(LANGUAGES)


def test_languages_without_spaces_are_known_ones() -> None:
    assert set(LANGUAGES) >= NO_SPACE_LANGUAGES
    assert {"zh", "ja", "th", "yue"} <= NO_SPACE_LANGUAGES
    assert "ko" not in NO_SPACE_LANGUAGES


def test_cantonese_becomes_chinese_only_where_the_model_has_no_cantonese() -> None:
    assert known_code("yue", WHISPER_V3_LANGUAGES) == "yue"
    assert known_code("yue", WHISPER_LANGUAGES) == "zh"
    assert known_code("yue", ("en",)) is None
    assert known_code("it", ("en", "es")) is None


def test_languages_have_english_names() -> None:
    assert language_name("de") == "German"
    assert language_name("tlh") == "tlh"


def guesses(**probabilities: float) -> tuple[LanguageGuess, ...]:
    return tuple(LanguageGuess(code, probability) for code, probability in probabilities.items())


@pytest.mark.parametrize(
    ("heard", "before", "expected"),
    [
        (guesses(en=0.4, fr=0.35), None, "en"),
        (guesses(fr=0.95, en=0.05), "en", "fr"),
        (guesses(fr=0.6, en=0.4), "en", "en"),
        (guesses(en=0.5, fr=0.4), "en", "en"),
        (guesses(fr=0.6, de=0.4), "es", "fr"),
    ],
)
def test_a_doubtful_guess_does_not_change_the_language(
    heard: tuple[LanguageGuess, ...], before: str | None, expected: str
) -> None:
    previous = None if before is None else LanguageGuess(before, 0.9)
    assert phrase_language(heard, previous).language == expected
