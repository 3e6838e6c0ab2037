from __future__ import annotations

import pytest

from app.domain.text.dictation import break_edits, dictation_edits
from app.domain.text.edits import Edited
from app.domain.transcript import Word
from tests.support.transcripts import words


def dictated(text: str, language: str = "en") -> tuple[Word, ...]:
    edited = Edited.untouched(words(text))
    edited = edited.apply(dictation_edits(edited.words, language))
    return edited.apply(break_edits(edited.words)).words


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("hello comma world period", "hello, world."),
        ("note colon one semicolon two", "note: one; two"),
        ("really question mark yes exclamation mark", "really? Yes!"),
        ("wow exclamation point", "wow!"),
        ("well hyphen known dash too", "well- known- too"),
        ("hello new line world", "hello\n world"),
        ("hello period new paragraph world", "hello.\n\n World"),
        ("hello newline newline world", "hello\n\n world"),
        ("Hello, comma, world. Period.", "Hello, world."),
        ("hello Question mark? so", "hello? So"),
        ("a period of time and the new line of shoes", "a period of time and the new line of shoes"),
        ("new line hello", "\n hello"),
        ("comma hello", ", hello"),
        ("new line comma hello", "\n , hello"),
        ("question of taste", "question of taste"),
        ("hello period", "hello."),
        ("period", "."),
        ("", ""),
    ],
)
def test_spoken_marks_join_the_word_before_them(spoken: str, written: str) -> None:
    assert " ".join(word.text for word in dictated(spoken)) == written


def test_a_marked_word_spans_its_mark_and_keeps_its_bare_form() -> None:
    first, second = dictated("Hello question mark new line you")
    assert (first.text, first.bare, first.start_s, first.end_s) == ("Hello?\n", "hello", 0.0, 2.5)
    assert (second.text, second.start_s) == ("You", 2.5)


def test_other_languages_have_no_commands() -> None:
    assert " ".join(word.text for word in dictated("hola period new line", "es")) == "hola period new line"
