"""What Diction's answer is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from app.dialects.diction_stream import MAX_TEXT_CHARACTERS, Dictation, is_done
from app.domain.stream.events import Results, SpeechStarted
from app.domain.transcript import Word


def final(words: Iterable[str], language: str | None = "en", *, is_final: bool = True) -> Results:
    said = tuple(Word(word, 0.0, 0.1, 0.9) for word in words)
    return Results(0, 1, 0, 16_000, said, is_final=is_final, language=language)


def text(*results: Results) -> str:
    dictation = Dictation()
    for result in results:
        dictation.take(result)
    return str(json.loads(dictation.render())["text"])


def test_finals_are_joined_and_interims_left_out() -> None:
    assert text(final(["Uh,", "one."]), final(["tw"], is_final=False), final([]), final(["Two."])) == "Uh, one. Two."


def test_languages_without_spaces_are_joined_without() -> None:
    assert text(final(["你", "好"], "zh"), final([], None), final(["世", "界"], "zh")) == "你好世界"


def test_speech_without_any_decode_has_failed() -> None:
    dictation = Dictation()
    dictation.take(final([], None))
    assert not dictation.has_failed
    dictation.take(SpeechStarted(0, 1, 8000))
    assert dictation.has_failed
    dictation.take(final([]))  # decoded, and nothing was in it
    assert not dictation.has_failed


@pytest.mark.parametrize(
    ("message", "done"),
    [
        ('{"action":"done"}', True),
        ('{ "action": "done", "language": "de" }', True),
        ('{"action":"start"}', False),
        ('["action","done"]', False),
        ("done", False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_which_message_ends_it(message: str, done: bool) -> None:
    assert is_done(message) is done


def test_what_is_too_long_to_say_anything_is_not_read() -> None:
    longest = '{"action":"done"}'.ljust(MAX_TEXT_CHARACTERS)
    assert is_done(longest)
    assert not is_done(longest + " ")
