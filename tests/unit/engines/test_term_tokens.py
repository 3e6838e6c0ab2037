from __future__ import annotations

import pytest

from app.domain.options import Keyterm
from app.engines.term_tokens import build_tree, encode

PIECES = [
    b" ",
    *(bytes([byte]) for byte in b"abdeorRN1!'s"),
    b"re",
    b" R",
    b" r",
    b" re",
    b" red",
    b"ed",
    b"do",
    b"or",
    b"door",
]
RANKS = {piece: rank for rank, piece in enumerate([*PIECES, b" d", b" N", b"\xc3", b"\xa9"])}


def pieces(text: str) -> list[bytes]:
    by_rank = {rank: piece for piece, rank in RANKS.items()}
    return [by_rank[token] for token in encode(text, RANKS)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" red", [b" red"]),
        ("red", [b"re", b"d"]),  # "re" was learnt before "ed"
        ("door", [b"door"]),
        (" R", [b" R"]),
        ("é", [b"\xc3", b"\xa9"]),
        ("", []),
    ],
)
def test_the_pair_learnt_first_is_joined_first(text: str, expected: list[bytes]) -> None:
    assert pieces(text) == expected


def test_letters_digits_and_marks_are_never_joined() -> None:
    ranks = {**RANKS, b"a1": 900, b"1!": 901}
    assert encode("a1!", ranks) == (RANKS[b"a"], RANKS[b"1"], RANKS[b"!"])


def test_a_text_that_the_vocabulary_cannot_write_has_no_tokens() -> None:
    assert encode("axb", RANKS) == ()


def test_a_tree_holds_every_spelling_after_a_space() -> None:
    tree = build_tree([Keyterm("Red"), Keyterm("x")], RANKS, "en")
    assert set(tree.lifts(()).tokens.tolist()) == {encode(" Red", RANKS)[0], encode(" red", RANKS)[0]}


def test_in_a_language_without_spaces_terms_stand_alone() -> None:
    tree = build_tree([Keyterm("door")], RANKS, "ja")
    assert RANKS[b"door"] in tree.lifts(()).tokens
