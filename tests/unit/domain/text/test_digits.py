from __future__ import annotations

import pytest

from app.domain.text.digits import DigitRun, digit_runs
from app.domain.text.finders import find
from app.domain.text.forms import bare_form
from tests.support.transcripts import words


def runs(text: str, language: str = "en") -> list[DigitRun]:
    spoken = words(text)
    return digit_runs([bare_form(word.text) for word in spoken], find(spoken, language))


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("four", 1), ("twelve", 2), ("twenty", 2), ("twenty five", 2), ("twenty-five", 2), ("nineteen eighty four", 4),
        ("42nd", 2), ("4,271", 4), ("oh four", 2), ("double seven", 2), ("A4-27B", 3), ("\u0664\u0662", 2),
    ],
)  # fmt: skip
def test_a_run_counts_at_least_the_digits_that_it_would_be_written_with(text: str, digits: int) -> None:
    (run,) = runs(text)
    assert (run.start, run.end, run.digits) == (0, len(text.split()), digits)


@pytest.mark.parametrize("text", ["", "hello world", "oh well", "double the fun", "-", "one-sided", "\u2026"])
def test_what_only_looks_like_a_numeral_is_none(text: str) -> None:
    assert runs(text) == []


def test_joints_keep_a_run_together_and_are_no_part_of_its_ends() -> None:
    (run,) = runs("dash four dash two point seven dash")
    assert (run.start, run.end, run.digits) == (1, 6, 3)


def test_other_words_part_runs() -> None:
    assert [(run.start, run.end) for run in runs("four people and seven dogs")] == [(0, 1), (3, 4)]


def test_a_run_knows_whether_it_touches_the_edge() -> None:
    assert [run.at_edge for run in runs("four and people, seven")] == [(True, False), (False, True)]
    assert [run.at_edge for run in runs("people seven people")] == [(False, False)]


def test_only_digits_said_one_by_one_are_spelled() -> None:
    assert [run.spelled for run in runs("four oh two, well 4111 well twenty five")] == [True, True, False]


def test_spoken_numbers_of_other_languages_come_from_the_finders() -> None:
    (run,) = runs("son doscientos cinco gatos", "es")
    assert (run.start, run.end, run.digits) == (1, 3, 3)
