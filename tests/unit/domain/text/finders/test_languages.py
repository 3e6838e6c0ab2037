import pytest

from tests.unit.domain.text.finders.reading import found, numerals, smart


@pytest.mark.parametrize(
    ("language", "spoken", "written"),
    [
        ("fr", "j'ai vingt et un chats et un chien", "j'ai 21 chats et un chien"),
        ("fr", "un deux trois", "1 2 3"),
        ("es", "tengo doscientos cincuenta gatos y un perro", "tengo 250 gatos y un perro"),
        ("de", "ich habe einundzwanzig Katzen und eine Katze", "ich habe 21 Katzen und eine Katze"),
        ("de", "es ist am ersten.", "es ist am 1."),
        ("it", "ho ventuno gatti e un cane", "ho 21 gatti e un cane"),
        ("nl", "eenentwintig katten en een hond", "21 katten en een hond"),
        ("pt", "vinte e um gatos", "21 gatos"),
        ("da", "en hest og tyve", "en hest og 20"),
        ("ru", "двадцать один", "двадцать один"),
        ("zh", "二十一", "二十一"),
    ],
)
def test_numbers_of_other_languages_and_no_articles(language: str, spoken: str, written: str) -> None:
    assert smart(spoken, language) == written
    assert numerals(spoken, language) == written


def test_english_context_means_nothing_in_other_languages() -> None:
    assert found("zip code 90210 may 2", "fr") == [("NUMBER", "90210"), ("NUMBER", "2")]


def test_addresses_are_found_in_every_language() -> None:
    assert found("schreib an max@example.de", "de") == [("EMAIL_ADDRESS", "max@example.de")]
