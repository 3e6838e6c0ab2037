import pytest

from tests.unit.domain.text.finders.reading import labels, smart


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("eight thirty seven p m", "8:37 PM"),
        ("eight oh five a m", "8:05 AM"),
        ("at 8:37 p.m. tomorrow", "at 8:37 PM tomorrow"),
        ("It was 8:37 p.m. Then we left.", "It was 8:37 PM. Then we left."),
        ("It was 8:37 p.m.", "It was 8:37 PM."),
        ("8:37pm", "8:37 PM"),
        ("8 pm", "8 PM"),
        ("eight pm sharp", "8 PM sharp"),
        ("eight o'clock in the morning", "8 o'clock in the morning"),
        ("at eight thirty", "at 8:30"),
        ("eleven oh five tonight", "11:05 tonight"),
        ("half past eight", "half past 8"),
        ("quarter to nine", "quarter to 9"),
        ("around noon", "around noon"),
        ("it is 20:15 now", "it is 20:15 now"),
    ],
)
def test_times_of_day_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["TIME"]


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("five minutes", "5 minutes"),
        ("two hours and thirty minutes", "2 hours and 30 minutes"),
        ("ten years ago", "10 years ago"),
        ("a 10-minute break", "a 10-minute break"),
        ("two and a half hours", "2 and a half hours"),
    ],
)
def test_durations_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["DURATION"]


@pytest.mark.parametrize(
    "text", ["wait a second", "I am fine", "at one point", "the p m said so", "in a minute", "am I late"]
)
def test_words_that_look_like_times_stay(text: str) -> None:
    assert smart(text) == text
    assert labels(text) == []


def test_an_amount_after_at_is_no_time() -> None:
    assert smart("at one fifty dollars") == "at $150"
