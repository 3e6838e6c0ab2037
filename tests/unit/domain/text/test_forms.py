import pytest

from app.domain.text.forms import bare_form, ends_sentence


@pytest.mark.parametrize(
    ("displayed", "bare"),
    [
        ("Yeah.", "yeah"),
        ("I'll", "i'll"),
        ("all-female,", "all-female"),
        ('"Two-thirds,"', "two-thirds"),
        ("I", "i"),
        ("$15.50.", "$15.50"),
        ("50%", "50%"),
        ("¿Dónde", "dónde"),
        ("(hello)", "hello"),
        ("'cause", "cause"),
        ("你好。", "你好"),
        ("...", ""),
        ("", ""),
    ],
)
def test_bare_form_is_lower_case_without_edge_punctuation(displayed: str, bare: str) -> None:
    assert bare_form(displayed) == bare


@pytest.mark.parametrize("word", ["end.", "end?", "end!", 'end."', "end.)", "终。", "end…."])
def test_sentence_ends_are_seen_behind_quotes_and_brackets(word: str) -> None:
    assert ends_sentence(word)


@pytest.mark.parametrize("word", ["end", "end,", "3.5", "end:", "", '"'])
def test_other_words_end_no_sentence(word: str) -> None:
    assert not ends_sentence(word)
