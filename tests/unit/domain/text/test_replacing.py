from __future__ import annotations

import pytest

from app.domain.options import Replacement
from app.domain.text.edits import Edited
from app.domain.text.replacing import Replacer
from app.domain.transcript import Word
from tests.support.transcripts import words


def replaced(text: str, *rules: str) -> tuple[Word, ...]:
    replacements = [Replacement(*rule.split(":", 1)) for rule in rules]
    spoken = words(text)
    return Edited.untouched(spoken).apply(Replacer(replacements).edits(spoken)).words


@pytest.mark.parametrize(
    ("spoken", "rules", "shown"),
    [
        ("Hello World.", ["world:moon"], "Hello moon."),
        ("hello HELLO Hello", ["hello:hi"], "hi hi hi"),
        ("hello HELLO Hello", ["hello:hi", "Hello:Hey"], "hi hi Hey"),
        ("worldly world", ["world:moon"], "worldly moon"),
        ("from New York now", ["york:x", "new york:NYC"], "from NYC now"),
        ("from New York now", ["New York:"], "from now"),
        ("delete this word", ["this"], "delete word"),
        ("at noon", ["noon:12:00"], "at 12:00"),
        ("say what?", ["what:what exactly"], "say what exactly?"),
        ("a a b", ["a b:x", "a:y"], "y x"),
        ("-", ["-:dash"], "dash"),
        ("", ["a:b"], ""),
    ],
)
def test_whole_words_are_replaced(spoken: str, rules: list[str], shown: str) -> None:
    assert " ".join(word.text for word in replaced(spoken, *rules)) == shown


def test_several_words_divide_the_time_evenly_and_show_as_given() -> None:
    found = replaced("DG talks", "dg:Deepgram the Company")
    assert [(word.text, word.bare) for word in found[:3]] == [(text, text) for text in ("Deepgram", "the", "Company")]
    assert [round(word.start_s, 3) for word in found] == [0.0, 0.167, 0.333, 0.5]
