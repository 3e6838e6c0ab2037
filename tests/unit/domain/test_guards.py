from __future__ import annotations

import pytest

from app.domain.guards import Doubt, compression_ratio, cut_loops, drop_hopeless, find_doubts, mean_logprob
from app.domain.transcript import Segment, Word


def segment(text: str, logprob: float = -0.1, start_s: float = 0.0) -> Segment:
    words = tuple(
        Word(word, start_s + index * 0.3, start_s + (index + 1) * 0.3, 0.9) for index, word in enumerate(text.split())
    )
    return Segment(text, start_s, words[-1].end_s, words, tuple(range(len(words))), logprob)


def doubts(text: str, duration_s: float = 30.0, prompt: str = "", logprob: float = -0.1) -> tuple[Doubt, ...]:
    return find_doubts([segment(text, logprob)], duration_s, prompt)


def test_silence_is_not_doubted() -> None:
    assert find_doubts([], 5.0, "a prompt") == ()


@pytest.mark.parametrize(
    "text",
    [
        "Good morning John. How are you today? Please open the red door. The window is blue.",
        "My phone number is five five five one two three four.",
        "No no no no.",
        "Bye bye, bye bye, bye bye.",
        "Turn the light off. Turn the light off.",
    ],
)
def test_ordinary_speech_is_not_doubted(text: str) -> None:
    assert doubts(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Turn the window off the window off the window off the window. Off.",
        "thank you thank you thank you thank you",
        "the the the the the the the",
    ],
)
def test_phrases_said_over_and_over_are_doubted(text: str) -> None:
    assert Doubt.REPEATS in doubts(text)


def test_text_that_compresses_too_well_is_doubted() -> None:
    text = " ".join(f"the window is {word} today" for word in ("red", "blue", "green") * 5)
    assert Doubt.COMPRESSION in doubts(text)
    assert compression_ratio("zero " * 10) == 0.0


def test_low_probability_is_doubted() -> None:
    assert doubts("Hello there.", logprob=-1.01) == (Doubt.LOW_PROBABILITY,)
    assert doubts("Hello there.", logprob=-0.99) == ()


def test_more_words_than_a_mouth_can_say_are_doubted() -> None:
    text = "one two three four five six seven eight"
    assert Doubt.TOO_FAST in doubts(text, duration_s=1.0)
    assert doubts(text, duration_s=2.0) == ()
    assert doubts("one two", duration_s=0.2) == ()


def test_an_echo_of_the_prompt_is_doubted() -> None:
    prompt = "Names: John, Mary and Paris."
    assert doubts("john mary and Paris", prompt=prompt) == (Doubt.PROMPT_ECHO,)
    assert doubts("John and Mary", prompt=prompt) == ()
    assert doubts("Mary and", prompt=prompt) == ()


def test_log_probability_is_weighted_by_tokens() -> None:
    assert mean_logprob([segment("a b c", -0.1), segment("d", -1.3)]) == pytest.approx(-0.4)


def test_hopeless_segments_are_dropped() -> None:
    good, bad = segment("Hello.", -0.3), segment("Damn.", -1.6)
    assert drop_hopeless([good, bad]) == (good,)


def test_a_loop_is_cut_after_its_first_copy() -> None:
    first = segment("My name is John.")
    looping = segment("Turn " + "the window off " * 6, start_s=2.0)
    after = segment("The the.", start_s=10.0)
    kept = cut_loops([first, looping, after])
    assert [item.text for item in kept] == ["My name is John.", "Turn the window off"]
    assert kept[1].end_s == kept[1].words[-1].end_s
    assert len(kept[1].tokens) == 4


def test_a_loop_over_several_segments_is_cut_between_them() -> None:
    kept = cut_loops([segment("Thank you very much.", start_s=2.0 * index) for index in range(6)])
    assert [item.text for item in kept] == ["Thank you very much."]


@pytest.mark.parametrize("text", ["no " * 8, "bye bye " * 3, "Turn it off. " * 4])
def test_emphatic_repetition_is_not_cut(text: str) -> None:
    said = (segment(text.strip()),)
    assert cut_loops(said) == said


def test_a_cut_keeps_the_joining_of_languages_without_spaces() -> None:
    words = tuple(Word("好", index * 0.2, (index + 1) * 0.2, 0.9) for index in range(14))
    looping = Segment("好" * 14, 0.0, 2.8, words, tuple(range(14)), -0.1)
    (kept,) = cut_loops([looping], "")
    assert kept.text == "好"
