"""Names and codes put together from words, letters, digits and said marks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.domain.text.finders.speech import Speech

_MARKS: Mapping[str, str] = {"dash": "-", "hyphen": "-", "underscore": "_"}
_LOCAL_MARKS: Mapping[str, str] = {**_MARKS, "dot": ".", "period": ".", "plus": "+"}
_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*")
_CODE = re.compile(r"(?=[a-z-]*\d)[a-z0-9-]+")
_LETTERS = re.compile(r"[a-z]")
_CAPITALS = re.compile(r"[A-Z]{2,4}")
"""Letters that are written together, as on number plates and in account numbers: "AB12 CDE", "GB29 NWBK"."""
_STARTS_NAME = frozenset({"is", "address", "email", "mail", "e-mail", "it's"})

_LONGEST_NAME = 64
"""Characters of a mailbox name or of one part of a host name (RFC 5321, 1035); more than any code has."""

_MOST_FIRST_WORDS = 3
"""Words that a host name may be said in before its first dot: "my little company dot com"."""


def read_label(speech: Speech, index: int, *, first: bool) -> tuple[int, str]:
    """One part of a host name from ``index`` on: a word, letters, digits, joined by dashes. Returns where it ends, and it.

    The ``first`` may be several words, up to a "dot"; empty where nothing fits.
    """
    end, text = _element(speech, index)
    while text and len(text) <= _LONGEST_NAME:
        mark = _MARKS.get(speech.text(end))
        if mark is not None and not speech.pauses[end - 1]:
            following, more = _element(speech, end + 1)
            if not more:
                break
            end, text = following, f"{text}{mark}{more}"
            continue
        if first and speech.text(end) != "dot" and _dot_follows(speech, index, end):
            following, more = _element(speech, end)
            if not more:
                break
            end, text = following, text + more
            continue
        break
    return end, text


def read_local_part(speech: Speech, end: int) -> tuple[int, str] | None:
    """The mailbox name before ``end``: where it begins, and it."""
    start, text = _element_before(speech, end)
    if not text:
        return None
    while start > 0 and len(text) <= _LONGEST_NAME and not speech.pauses[start - 1]:
        mark = _LOCAL_MARKS.get(speech.texts[start - 1])
        if mark is not None:
            first, before = _element_before(speech, start - 1)
            if not before:
                break
            start, text = first, f"{before}{mark}{text}"
            continue
        first, before = _element_before(speech, start)
        if before and (_belongs(speech, start) or _begins_after_keyword(speech, first)):
            start, text = first, before + text
            continue
        break
    return (start, text) if _NAME.fullmatch(text) else None


def is_local_mark(speech: Speech, index: int) -> bool:
    """Whether a mark that joins the parts of a mailbox name is said at ``index``."""
    return index > 0 and speech.texts[index] in _LOCAL_MARKS and not speech.pauses[index]


def local_mark(speech: Speech, index: int) -> str:
    """The mark that is said at ``index``."""
    return _LOCAL_MARKS[speech.texts[index]]


def read_code(speech: Speech, index: int) -> tuple[int, str]:
    """Letters and digits spelled from ``index`` on, in capitals ("one z five seven a two b"), and where they end."""
    text, end = "", index
    while end < len(speech) and len(text) <= _LONGEST_NAME:
        following, more = _code_element(speech, end)
        if not more:
            break
        text += more
        end = following
        if speech.closes[end - 1]:
            break
    return end, text.upper()


def _code_element(speech: Speech, index: int) -> tuple[int, str]:
    piece = speech.pieces.get(index)
    if piece is not None:
        return piece.end, piece.digits
    if speech.follows(index, "double", "you"):
        return index + 2, "w"
    text = speech.text(index)
    if _LETTERS.fullmatch(text) or _CODE.fullmatch(text) or _is_block(speech, index):
        return index + 1, text.replace("-", "")
    return index, ""


def _is_block(speech: Speech, index: int) -> bool:
    return index < len(speech) and speech.texts[index] != "ok" and _CAPITALS.fullmatch(speech.shown(index)) is not None


def _element(speech: Speech, index: int) -> tuple[int, str]:
    """The digits, the letters or the word at ``index``."""
    text, end = "", index
    while end < len(speech) and len(text) <= _LONGEST_NAME:
        piece = speech.pieces.get(end)
        if piece is not None:
            text, end = text + piece.digits, piece.end
        elif speech.follows(end, "double", "you"):
            text, end = f"{text}w", end + 2
        elif _LETTERS.fullmatch(speech.texts[end]):
            text, end = text + speech.texts[end], end + 1
        else:
            break
        if speech.pauses[end - 1]:
            return end, text
    if text:
        return end, text
    word = speech.text(index)
    return (index + 1, word) if _NAME.fullmatch(word) and word != "dot" else (index, "")


def _element_before(speech: Speech, end: int) -> tuple[int, str]:
    piece = speech.piece_ends.get(end)
    if piece is not None:
        return piece.start, piece.digits
    word = speech.text(end - 1)
    return (end - 1, word) if _NAME.fullmatch(word) and word not in _LOCAL_MARKS else (end, "")


def _belongs(speech: Speech, start: int) -> bool:
    """Whether what begins at ``start`` cannot be a name alone: digits, or one of several letters."""
    is_letter = len(speech.texts[start]) == 1 and len(speech.text(start - 1)) == 1
    return start in speech.pieces or is_letter


def _begins_after_keyword(speech: Speech, first: int) -> bool:
    """Whether a keyword stands at most two words before ``first``, and what is between can be part of a name."""
    if speech.texts[first] in _STARTS_NAME:
        return False
    for index in range(first - 1, max(-1, first - 4), -1):
        if speech.texts[index] == "is" and "mail" in speech.before(index, 4):
            return True
        if speech.closes[index] or not speech.texts[index].isalnum():
            return False
    return False


def _dot_follows(speech: Speech, index: int, end: int) -> bool:
    for position in range(end, min(len(speech), index + _MOST_FIRST_WORDS + 1)):
        if speech.pauses[position - 1]:
            return False
        if speech.texts[position] == "dot":
            return True
    return False
