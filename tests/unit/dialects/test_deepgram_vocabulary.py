from __future__ import annotations

import pytest

from app.dialects.deepgram_live import parse_live
from app.dialects.deepgram_options import parse_listen
from app.domain.errors import ErrorKind, SttError
from app.domain.options import Keyterm


def terms(query: str) -> tuple[Keyterm, ...]:
    recorded = parse_listen(query.encode(), max_channels=20).options.keyterms
    assert parse_live(query.encode(), max_channels=20).options.keyterms == recorded
    return recorded


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ()),
        ("keyterm=Nuuk", (Keyterm("Nuuk"),)),
        ("keyterm=a+b&keyterm=c%20d", (Keyterm("a b"), Keyterm("c d"))),
        ("keyterm=['a b', 'c']", (Keyterm("a b"), Keyterm("c"))),
        ("keyterm=ratio:2", (Keyterm("ratio:2"),)),
        ("keyterm=&keyterm=None", ()),
        ("keywords=Nuuk", (Keyterm("Nuuk"),)),
        ("keywords=Nuuk:", (Keyterm("Nuuk"),)),
        ("keywords=Nuuk:2.5&keywords=nook:-3", (Keyterm("Nuuk", 2.5), Keyterm("nook", -3.0))),
        ("keywords=a:b:2", (Keyterm("a:b", 2.0),)),
        ("keywords=Nuuk:0", ()),
        ("keyterm=Nuuk&keywords=Nuuk:3", (Keyterm("Nuuk", 3.0),)),
    ],
)
def test_terms_and_their_boosts(query: str, expected: tuple[Keyterm, ...]) -> None:
    assert terms(query) == expected


@pytest.mark.parametrize("value", ["Nuuk:high", "Nuuk:nan", "Nuuk:inf", ":2"])
def test_a_keyword_that_cannot_be_read_is_refused(value: str) -> None:
    with pytest.raises(SttError) as raised:
        terms(f"keywords={value}")
    assert raised.value.kind is ErrorKind.INVALID_PARAMETER
    assert raised.value.message.startswith("Failed to deserialize query parameters: keywords")


def test_a_hundred_keywords_are_the_most() -> None:
    assert len(terms("&".join(f"keywords=w{index}" for index in range(100)))) == 100
    with pytest.raises(SttError, match="at most 100"):
        terms("&".join(f"keywords=w{index}" for index in range(101)))


def test_too_many_tokens_are_refused_in_deepgrams_words() -> None:
    assert len(terms("&".join(f"keyterm=w{index}" for index in range(500)))) == 500
    with pytest.raises(SttError) as raised:
        terms("&".join(f"keyterm=w{index}" for index in range(501)))
    assert raised.value.kind is ErrorKind.INVALID_REQUEST
    assert raised.value.message == "Keyterm limit exceeded. The maximum number of tokens across all keyterms is 500."
