"""Street addresses and postal codes: ``300 Main Street``, ``CA 90210``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.domain.text.finders.runs import Piece
from app.domain.text.finders.speech import Speech
from app.domain.text.finding import Finding

_STREETS = frozenset({
    "street", "st", "avenue", "ave", "road", "rd", "boulevard", "blvd", "lane", "ln", "highway", "hwy", "parkway", "pkwy",
    "terrace", "alley", "crescent", "turnpike",
})  # fmt: skip
_STREETS_THAT_ARE_WORDS = frozenset(
    {"drive", "dr", "court", "ct", "place", "square", "way", "circle", "trail", "plaza", "loop"}
)
_STREETS_IN_CAPITALS = frozenset({"close", "gardens", "mews", "grove", "row", "hill", "walk", "park", "approach"})
"""British kinds of streets that every other sentence has in lower case: they count with a capital only."""
_NO_NAME = frozenset({
    "a", "an", "the", "of", "in", "on", "at", "to", "for", "and", "or", "is", "are", "was", "were", "it", "that", "this",
    "with", "way", "lane", "more", "people", "cars", "minute", "minutes", "hour", "hours", "second", "seconds", "day",
    "days", "year", "years", "week", "weeks", "month", "months", "percent", "dollars", "dollar", "feet", "miles", "mile",
    "times", "from", "by", "down", "up", "off", "per", "different", "other", "we", "i", "you", "they", "he", "she", "have",
    "has", "had", "my", "your",
})  # fmt: skip
_DIRECTIONS = frozenset(
    {"north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest", "nw", "ne", "sw", "se"}
)
_UNITS = frozenset({"apartment", "apt", "suite", "unit", "room", "floor", "flat"})
_UNIT = re.compile(r"#?\d{1,5}[a-z]?|#?[a-z]\d{1,4}")
_LETTER = re.compile(r"[a-h]")
_HOUSE = re.compile(r"\d{1,5}[a-z]")
_NAME = re.compile(r"[a-z][a-z'.-]*")
_POSTCODE = re.compile(r"[a-z]{1,2}\d[a-z\d]?")
_POSTCODE_END = re.compile(r"\d[a-z]{2}")
_STATES = frozenset({
    "al", "ak", "az", "ar", "ca", "co", "ct", "de", "fl", "ga", "hi", "id", "il", "in", "ia", "ks", "ky", "la", "me", "md",
    "ma", "mi", "mn", "ms", "mo", "mt", "ne", "nv", "nh", "nj", "nm", "ny", "nc", "nd", "oh", "ok", "or", "pa", "ri", "sc",
    "sd", "tn", "tx", "ut", "vt", "va", "wa", "wv", "wi", "wy", "dc", "alabama", "alaska", "arizona", "arkansas",
    "california", "colorado", "connecticut", "delaware", "florida", "georgia", "hawaii", "idaho", "illinois", "indiana",
    "iowa", "kansas", "kentucky", "louisiana", "maine", "maryland", "massachusetts", "michigan", "minnesota", "mississippi",
    "missouri", "montana", "nebraska", "nevada", "hampshire", "jersey", "mexico", "york", "carolina", "dakota", "ohio",
    "oklahoma", "oregon", "pennsylvania", "island", "tennessee", "texas", "utah", "vermont", "virginia", "washington",
    "wisconsin", "wyoming",
})  # fmt: skip

_MOST_NAME_WORDS = 4
_MOST_DIGITS = 6


def find_addresses(speech: Speech) -> Iterator[Finding]:
    """A number, one to four words of a name, and the kind of street, with direction and apartment after it."""
    yield from _post_boxes(speech)
    for index in sorted(speech.places((*_STREETS, *_STREETS_THAT_ARE_WORDS, *_STREETS_IN_CAPITALS))):
        if speech.texts[index] in _STREETS_IN_CAPITALS and not speech.shown(index)[:1].isupper():
            continue
        house = _house(speech, index)
        if house is None:
            continue
        start, digits, name = house
        doubtful = speech.texts[index] not in _STREETS
        if doubtful and len(digits) < 3 and not speech.shown(name)[:1].isupper():
            continue
        written = [digits, *_names(speech, name, index), speech.shown(index).capitalize()]
        end = index + 1
        if speech.text(end) in _DIRECTIONS and not speech.closes[index]:
            written.append(speech.shown(end).upper() if len(speech.texts[end]) == 2 else speech.shown(end).capitalize())
            end += 1
        after, unit = (end, ()) if speech.closes[end - 1] else _unit(speech, end)
        if unit:
            written[-1] += "," if speech.pauses[end - 1] else ""
        yield Finding("LOCATION_ADDRESS", start, after, (*written, *unit))


def _post_boxes(speech: Speech) -> Iterator[Finding]:
    """``P.O. Box 123``."""
    for index in speech.places(("box",)):
        start = next(
            (index - len(said) for said in (("po",), ("p.o",), ("p", "o")) if speech.follows(index - len(said), *said)), -1
        )
        run = speech.run_starts.get(index + 1)
        if start >= 0 and run is not None and len(run.digits) <= _MOST_DIGITS:
            yield Finding("LOCATION_ADDRESS", start, run.end, ("PO", "Box", run.digits))


def _unit(speech: Speech, index: int) -> tuple[int, tuple[str, ...]]:
    """``apartment four b``, ``Apt 4B`` or ``#4`` at ``index``: where it ends and how it is written; nothing without one."""
    if speech.text(index).startswith("#") and _UNIT.fullmatch(speech.texts[index]):
        return index + 1, (speech.shown(index),)
    if speech.text(index) not in _UNITS or speech.closes[index]:
        return index, ()
    name = speech.shown(index).capitalize()
    number = speech.number(index + 1)
    if number is None or not number.is_whole:
        coded = _UNIT.fullmatch(speech.text(index + 1)) is not None
        return (index + 2, (name, speech.shown(index + 1).upper())) if coded else (index, ())
    end = number.end
    is_lettered = _LETTER.fullmatch(speech.text(end)) and not speech.pauses[end - 1]
    if is_lettered and (speech.texts[end] != "a" or end + 1 == len(speech) or speech.pauses[end]):
        return end + 1, (name, f"{number.written}{speech.texts[end].upper()}")
    return end, (name, number.written)


def find_zips(speech: Speech) -> Iterator[Finding]:
    """Five digits after the name of a state, and British codes as they are written. Announced ones are found elsewhere."""
    for run in speech.runs:
        if len(run.digits) in (5, 9) and speech.text(run.start - 1) in _STATES and _is_place(speech, run.start - 1):
            digits = run.digits
            yield Finding(
                "LOCATION_ZIP", run.start, run.end, (digits if len(digits) == 5 else f"{digits[:5]}-{digits[5:]}",)
            )
    for text, indices in speech.positions.items():
        if _POSTCODE.fullmatch(text):
            for index in indices:
                if _POSTCODE_END.fullmatch(speech.text(index + 1)) and not speech.pauses[index]:
                    yield Finding("LOCATION_ZIP", index, index + 2, (text.upper(), speech.texts[index + 1].upper()))


def _house(speech: Speech, street: int) -> tuple[int, str, int] | None:
    """The number before the street's name: where it begins, its digits, and where the name begins."""
    name = street
    while name > 0 and street - name < _MOST_NAME_WORDS:
        if name < street and _HOUSE.fullmatch(speech.texts[name - 1]) and not speech.pauses[name - 1]:
            return name - 1, speech.shown(name - 1).upper(), name
        piece = speech.piece_ends.get(name)
        if piece is not None and name < street:
            start, digits = _joined(speech, piece)
            return (start, digits, name) if len(digits) <= _MOST_DIGITS else None
        ordinal = speech.number_ends.get(name)
        if ordinal is not None and ordinal.ordinal and not speech.closes[name - 1]:
            name = ordinal.start
            continue
        if speech.closes[name - 1] or not _NAME.fullmatch(speech.texts[name - 1]) or speech.texts[name - 1] in _NO_NAME:
            return None
        name -= 1
    piece = speech.piece_ends.get(name)
    if piece is None or name == street or speech.pauses[name - 1]:
        return None
    start, digits = _joined(speech, piece)
    return (start, digits, name) if len(digits) <= _MOST_DIGITS else None


def _joined(speech: Speech, piece: Piece) -> tuple[int, str]:
    """ "twelve thirty four" before a street is 1234: where such pieces begin, and their digits."""
    if piece.number is not None and "-" in piece.number.written:
        return piece.start, piece.number.written  # "12-14 High Street"
    start, digits = piece.start, piece.digits
    while (
        len(digits) <= _MOST_DIGITS and (before := speech.piece_ends.get(start)) is not None and not speech.pauses[start - 1]
    ):
        start, digits = before.start, before.digits + digits
    return start, digits


def _names(speech: Speech, start: int, end: int) -> list[str]:
    names: list[str] = []
    while start < end:
        number = speech.number(start)
        if number is not None and number.ordinal:
            names.append(number.written)
            start = number.end
        else:
            shown = speech.shown(start)
            names.append(shown[:1].upper() + shown[1:])
            start += 1
    return names


def _is_place(speech: Speech, index: int) -> bool:
    """Whether the word is a state and not "in", "me" or "or": two letters count in capitals only."""
    return len(speech.texts[index]) > 2 or speech.shown(index).isupper()
