from __future__ import annotations

from app.domain.stream.agreement import Agreement
from app.domain.transcript import Word


def words(line: str, start_s: float = 0.0) -> tuple[Word, ...]:
    return tuple(Word(w, start_s + i * 0.5, start_s + i * 0.5 + 0.4, 0.9) for i, w in enumerate(line.split()))


def shown(agreement: Agreement, line: str) -> str:
    return " ".join(word.text for word in agreement.add(words(line)))


def committed(agreement: Agreement) -> str:
    return " ".join(word.text for word in agreement.committed)


def test_one_hypothesis_commits_nothing() -> None:
    agreement = Agreement()
    assert shown(agreement, "how are you") == "how are you"
    assert committed(agreement) == ""


def test_the_common_prefix_of_two_in_a_row_is_committed() -> None:
    agreement = Agreement()
    shown(agreement, "how are your")
    assert shown(agreement, "how are you doing") == "how are you doing"
    assert committed(agreement) == "how are"
    shown(agreement, "how are you doing today")
    assert committed(agreement) == "how are you doing"


def test_committed_words_stay_though_a_later_hypothesis_reads_them_differently() -> None:
    agreement = Agreement()
    shown(agreement, "how are you")
    shown(agreement, "how are you")
    assert shown(agreement, "who are you now") == "how are you now"
    assert committed(agreement) == "how are you"


def test_an_empty_hypothesis_takes_nothing_back_that_is_committed() -> None:
    agreement = Agreement()
    shown(agreement, "how are")
    shown(agreement, "how are you")
    assert shown(agreement, "") == "how are"


def test_case_and_punctuation_do_not_hinder_agreement() -> None:
    agreement = Agreement()
    shown(agreement, "Hello, world")
    shown(agreement, "hello world.")
    assert committed(agreement) == "hello world."


def test_marks_alone_are_compared_as_they_are() -> None:
    agreement = Agreement()
    shown(agreement, "? yes")
    shown(agreement, "! yes")
    assert committed(agreement) == ""
