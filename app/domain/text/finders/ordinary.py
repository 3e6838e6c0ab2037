"""English words that look like numbers and are none: "no one", "wait a second", "several hundred"."""

from __future__ import annotations

from collections.abc import Sequence

DIGIT_WORDS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9",
}  # fmt: skip

_TENS = frozenset({"twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"})

_NUMBER_WORDS = (
    frozenset(DIGIT_WORDS)
    | _TENS
    | {
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "hundred",
    }
    | {"thousand", "million", "billion", "trillion", "oh", "point", "double", "triple"}
)

SCALES = frozenset({"hundred", "thousand", "million", "billion", "trillion"})

_PLURALS = frozenset({"ones", "tens", "hundreds", "thousands", "millions", "billions", "trillions"})
"""Nobody can say how many "thousands of people" are."""

_BEFORE_PRONOUN = frozenset({
    "no", "any", "every", "some", "this", "that", "which", "each", "the", "another", "other", "only", "these", "those", "a",
    "last", "next", "good", "great", "new", "old", "big", "little", "small", "right", "wrong", "better", "best", "loved",
    "not", "such", "nice", "bad", "long", "short", "red", "blue", "green", "white", "black", "different", "same", "first",
    "second", "third", "my", "your", "his", "her", "our", "their", "dear", "single", "particular", "as",
})  # fmt: skip

_BEFORE_NO_DIGIT = frozenset({"no", "any", "every", "some", "this", "that", "which", "another", "other", "only", "each"})

_AFTER_PRONOUN = frozenset({
    "of", "another", "who", "that", "can", "could", "should", "would", "must", "might", "may", "will", "is", "was", "has",
    "day", "thing", "way", "more", "reason", "time", "does", "by", "on", "and", "in", "or", "else", "moment",
})  # fmt: skip

_ORDINALS = frozenset({"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"})

_DETERMINERS = frozenset({"the", "my", "your", "his", "her", "our", "their", "its", "on", "of"})

MONTHS = {
    "january": 1, "february": 2, "march": 3, "april": 4, "may": 5, "june": 6, "july": 7, "august": 8, "september": 9,
    "october": 10, "november": 11, "december": 12,
}  # fmt: skip


def is_ordinary(texts: Sequence[str], index: int) -> bool:
    """Whether the English word at ``index`` only looks like a number or a part of one."""
    text = texts[index]
    if text == "one":
        return _is_pronoun(texts, index)
    if text == "o":
        return not {_at(texts, index - 1), _at(texts, index + 1)} & _NUMBER_WORDS
    if text in _PLURALS:
        return True
    if text in SCALES:
        return not _is_scaled(texts, index)
    if text in _ORDINALS:
        before, after = _at(texts, index - 1), _at(texts, index + 1)
        if before in _NUMBER_WORDS or before == "and":
            # "a twenty second break": the unit of time, with an article that no ordinal has
            return text == "second" and (before not in _TENS or _at(texts, index - 2) in {"a", "every", "each"})
        if after in MONTHS or (after == "of" and _at(texts, index + 2) in MONTHS):
            return False
        return before not in _DETERMINERS and before not in MONTHS
    return False


def is_never_digit(texts: Sequence[str], index: int) -> bool:
    """Whether the word is none of a dictated number either: "no one", "one of them", "first of all".

    Narrower than ``is_ordinary``, as what is doubtful here would be shown though it was to be redacted.
    """
    before, after = _at(texts, index - 1), _at(texts, index + 1)
    if before in _NUMBER_WORDS or after in _NUMBER_WORDS:
        return False
    if texts[index] == "one":
        return before in _BEFORE_NO_DIGIT or after in {"of", "another", "day"}
    return texts[index] == "first" and (before == "at" or (after == "of" and _at(texts, index + 2) == "all"))


def _is_scaled(texts: Sequence[str], index: int) -> bool:
    """Whether a number goes on with the scale word at ``index``, or begins with it and an article ("a hundred")."""
    before = _at(texts, index - 1)
    if before == "a":
        return _at(texts, index - 2) not in {"half", "quarter", "of"}
    # text2num knows no "two point five million" and would begin a new number there
    return before in _NUMBER_WORDS and "point" not in texts[max(0, index - 4) : index]


def _is_pronoun(texts: Sequence[str], index: int) -> bool:
    before, after = _at(texts, index - 1), _at(texts, index + 1)
    if before == "at" and after == "point" and _at(texts, index + 2) not in _NUMBER_WORDS:
        return True
    if before in _NUMBER_WORDS or after in _NUMBER_WORDS:
        return False
    if after == "or" and _at(texts, index + 2) in _NUMBER_WORDS:
        return False  # "one or two people"
    if before in {"by", "on", "to", "after"} and _at(texts, index - 2) == "one":
        return True
    return before in _BEFORE_PRONOUN or after in _AFTER_PRONOUN


def _at(texts: Sequence[str], index: int) -> str:
    return texts[index] if 0 <= index < len(texts) else ""
