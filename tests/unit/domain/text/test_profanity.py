from __future__ import annotations

import pytest

from app.domain.text.edits import Edited
from app.domain.text.profanity import profanity_edits
from app.domain.text.profanity_corrections import ADDED, NAMES, ORDINARY
from app.domain.transcript import Word
from tests.support.transcripts import words


def masked(text: str, language: str = "en") -> str:
    spoken = words(text)
    return " ".join(word.text for word in Edited.untouched(spoken).apply(profanity_edits(spoken, language)).words)


@pytest.mark.parametrize(
    ("spoken", "shown"),
    [
        ("damn it", "**** it"),
        ("Damn, that's SHIT!", "****, that's ****!"),
        ("god damn it", "*** **** it"),
        ("the shit's here", "the ****** here"),
        ("you dick", "you ****"),
    ],
)
def test_masks_have_the_length_of_the_word_and_leave_its_punctuation(spoken: str, shown: str) -> None:
    assert masked(spoken) == shown


@pytest.mark.parametrize(
    "spoken",
    [
        "Scunthorpe and Penistone", "the class assumes a cocktail", "Dick Smith met Dick.", "how to kill a process",
        "tied up at work", "the rectum and the vagina", "an assassin in Essex", "what the hell", "my escort",
    ],
)  # fmt: skip
def test_ordinary_words_and_names_stay(spoken: str) -> None:
    assert masked(spoken) == spoken


@pytest.mark.parametrize(
    ("language", "spoken", "shown"),
    [
        ("de", "so eine Schei\u00dfe, bitte", "so eine *******, bitte"),
        ("fr", "merde, la veuve", "*****, la veuve"),
        ("es", "mierda con martillo", "****** con martillo"),
        ("it", "cazzo, il pesce", "*****, il pesce"),
        ("cy", "damn it", "damn it"),
    ],
)
def test_each_language_has_its_own_list(language: str, spoken: str, shown: str) -> None:
    assert masked(spoken, language) == shown


def test_the_bare_form_is_masked_too_and_spaces_stay() -> None:
    word = Word("Bull shit.", 0.0, 1.0, 0.9, bare="bullshit")
    (edit,) = profanity_edits((word,), "en")
    assert (edit.words[0].text, edit.words[0].bare) == ("**** ****.", "**** ****")


def test_corrections_are_lower_case_and_do_not_contradict_each_other() -> None:
    for language, added in ADDED.items():
        assert added.isdisjoint(ORDINARY.get(language, frozenset()))
    assert all(word == word.lower() for found in (*ADDED.values(), *ORDINARY.values(), NAMES) for word in found)
