"""Dates, years and spans of them: ``November 2, 2022``, ``12/25/2020``, ``1980s``; and dates of birth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from app.domain.text.finders.ordinary import MONTHS
from app.domain.text.finders.speech import Speech
from app.domain.text.finding import Finding

_SHORT_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9, "oct": 10, "nov": 11, "dec":
    12,
}  # fmt: skip
_AMBIGUOUS_MONTHS = frozenset({"may", "march", "mar", "jan", "sep", "dec"})
_WEEKDAYS = frozenset({"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"})
_DECADES = {
    "twenties": "20s", "thirties": "30s", "forties": "40s", "fifties": "50s", "sixties": "60s", "seventies": "70s",
    "eighties": "80s", "nineties": "90s",
}  # fmt: skip
_NUMERIC = re.compile(
    r"\d{1,2}([/.-])\d{1,2}\1(?:\d{4}|\d{2})|(?:19|20)\d\d-\d{2}-\d{2}|(?:19|20)\d\ds|(?:19|20)\d\d-(?:19|20)\d\d"
)
_SPAN = re.compile(r"\d{4}-\d{4}")
_DAYS = re.compile(r"\d{1,2}-\d{1,2}")
_SHORT_YEAR = re.compile(r"['\u2018\u2019]\d\ds?")
_DAY_AND_MONTH = re.compile(r"(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])")
_BEFORE_YEAR = frozenset({"in", "since", "year", "until", "during", "circa", "before", "after", "from", "of", "by", "born"})
_BEFORE_DATE = frozenset({"on", "since", "by", "until", "dated", "date", "of", "before", "after", "from", "due"})
_BEFORE_MONTH = frozenset({"in", "of", "since", "until", "last", "next", "by", "this"})
_BETWEEN = frozenset({"to", "through", "until", "till", "thru"})
_BIRTH = re.compile(r"\b(?:born|birth|d o b|dob|birthday|birthdate|birth date)\b")
_BIRTH_WORDS = 8
_YEARS = range(1500, 2200)


def find_dates(speech: Speech) -> Iterator[Finding]:
    """All dates. As at Deepgram, two with "to" between, months with a year, and bare years are a ``DATE_INTERVAL``."""
    dates = sorted((*_named(speech), *_numeric(speech), *_years(speech)), key=lambda date: (date.start, -date.end))
    apart: list[Finding] = []
    for date in dates:
        if not apart or date.start >= apart[-1].end:
            apart.append(date)
    yield from _intervals(speech, apart)
    for date in apart:
        if _BIRTH.search(speech.before(date.start, _BIRTH_WORDS)) and len(date.written) + len(date.written[0]) > 4:
            yield Finding("DOB", date.start, date.end, date.written)
        else:
            yield date


def _intervals(speech: Speech, dates: list[Finding]) -> Iterator[Finding]:
    for first, second in pairwise(dates):
        link = speech.text(first.end)
        is_range = link in _BETWEEN or (link == "and" and speech.text(first.start - 1) == "between")
        if is_range and second.start == first.end + 1 and not speech.closes[first.end - 1]:
            yield Finding("DATE_INTERVAL", first.start, second.end, (*first.written, link, *second.written))


def _named(speech: Speech) -> Iterator[Finding]:
    for index in sorted(speech.places((*MONTHS, *_SHORT_MONTHS))):
        finding = _day_first(speech, index) or _month_first(speech, index)
        if finding is None:
            if speech.texts[index] not in _AMBIGUOUS_MONTHS or (
                speech.texts[index] == "may" and _is_month_name(speech, index)
            ):
                yield Finding("DATE_INTERVAL", index, index + 1, (_name(speech, index),))
            continue
        yield _with_weekday(speech, finding)
    for index in speech.places(_WEEKDAYS):
        yield Finding("DATE", index, index + 1, (speech.texts[index].capitalize(),))


def _is_month_name(speech: Speech, index: int) -> bool:
    """Whether "may" is the month: a capital inside a sentence, after "in" or "of"."""
    return speech.shown(index)[:1].isupper() and speech.text(index - 1) in _BEFORE_MONTH


def _month_first(speech: Speech, index: int) -> Finding | None:
    month = _name(speech, index)
    after = index + 2 if speech.text(index + 1) == "the" else index + 1
    if speech.closes[index] or not speech.joined(index, after):
        return None
    number = speech.number(after)
    if number is not None and after == index + 1 and _DAYS.fullmatch(number.written):
        return Finding("DATE_INTERVAL", index, number.end, (month, number.written))
    if number is not None and after == index + 2 and speech.texts[index] in {"may", "march"}:
        # "may the first one win": a date only where nothing goes on, or a year does
        ends = number.end == len(speech) or speech.pauses[number.end - 1]
        if not ends and read_year(speech, number.end) is None:
            return None
    is_day = (
        number is not None and (number.ordinal or number.is_whole) and 1 <= number.value <= 31 and number.written[0] != "0"
    )
    if is_day and number is not None and not _is_doubtful(speech, index, number.ordinal or not number.spoken):
        year = None if speech.closes[number.end - 1] else read_year(speech, number.end)
        if year is not None:
            return Finding("DATE", index, year[0], (month, f"{number.value},", year[1]))
        if read_year(speech, after) is None:
            return Finding("DATE", index, number.end, (month, str(number.value)))
    year = read_year(speech, after) if after == index + 1 else None
    return None if year is None else Finding("DATE_INTERVAL", index, year[0], (month, year[1]))


def _is_doubtful(speech: Speech, index: int, certain: bool) -> bool:
    """Whether "may" or "march" before a number is rather the verb: in lower case, and the number no ordinal."""
    return speech.texts[index] in {"may", "march"} and not certain and not speech.shown(index)[:1].isupper()


def _day_first(speech: Speech, index: int) -> Finding | None:
    """``the second of November``, ``2 November 2022``."""
    end = index - 1 if speech.text(index - 1) == "of" else index
    number = speech.number_ends.get(end)
    if number is None or not speech.joined(number.start, index + 1) or not (number.ordinal or number.is_whole):
        return None
    if not 1 <= number.value <= 31 or _is_doubtful(speech, index, number.ordinal):
        return None
    if end == index and not number.ordinal and read_year(speech, index + 1) is None:
        # "in twenty twenty november was warm"
        return None
    day = _ordinal(number.value) if end < index else str(number.value)
    middle = ("of",) if end < index else ()
    year = None if speech.closes[index] else read_year(speech, index + 1)
    if year is None:
        return Finding("DATE", number.start, index + 1, (day, *middle, _name(speech, index)))
    return Finding("DATE", number.start, year[0], (day, *middle, _name(speech, index), year[1]))


def _with_weekday(speech: Speech, finding: Finding) -> Finding:
    day = finding.start - 1 if speech.text(finding.start - 1) != "the" else finding.start - 2
    if day < 0 or speech.texts[day] not in _WEEKDAYS or speech.closes[day]:
        return finding
    name = speech.texts[day].capitalize()
    between = ("the",) if day == finding.start - 2 else ()
    return Finding("DATE", day, finding.end, (f"{name}," if not between else name, *between, *finding.written))


def read_year(speech: Speech, index: int) -> tuple[int, str] | None:
    """The year said or written at ``index``: where it ends, and its four digits."""
    first = speech.number(index)
    if first is None or not first.is_whole:
        return None
    if len(first.written) == 4:
        return (first.end, first.written) if first.value in _YEARS else None
    if not (first.spoken and 16 <= first.value <= 20) or speech.pauses[first.end - 1]:
        return None
    second = speech.number(first.end)
    if second is not None and second.is_whole and second.spoken and 10 <= second.value <= 99:
        return second.end, f"{first.written}{second.written}"
    third = speech.number(first.end + 1)
    if speech.text(first.end) in {"oh", "o"} and third is not None and len(third.written) == 1:
        return third.end, f"{first.written}0{third.written}"
    return None


def _numeric(speech: Speech) -> Iterator[Finding]:
    for text, indices in speech.positions.items():
        if not text[:1].isdecimal():
            continue
        label = "DATE_INTERVAL" if text.endswith("s") or _SPAN.fullmatch(text) else "DATE"
        if _NUMERIC.fullmatch(text):
            yield from (Finding(label, index, index + 1, (text,)) for index in indices)
        elif _DAY_AND_MONTH.fullmatch(text):
            yield from (Finding("DATE", at, at + 1, (text,)) for at in indices if _is_day(speech, at))
        elif len(text) in (2, 3):
            for at in indices:
                if _SHORT_YEAR.match(speech.words[at].text):
                    yield Finding("DATE_INTERVAL", at, at + 1, (f"'{text}",))
    yield from _with_slashes(speech)


def _with_slashes(speech: Speech) -> Iterator[Finding]:
    for index in speech.places(("slash",)):
        # "eleven slash two slash twenty twenty two"
        month, day = speech.number_ends.get(index), speech.number(index + 1)
        if month is None or day is None or speech.text(day.end) != "slash":
            continue
        year = read_year(speech, day.end + 1)
        short = speech.number(day.end + 1)
        if year is None and short is not None and short.is_whole and len(short.written) == 2:
            year = short.end, short.written
        if year is not None and month.is_whole and day.is_whole:
            yield Finding("DATE", month.start, year[0], (f"{month.written}/{day.written}/{year[1]}",))


def _is_day(speech: Speech, index: int) -> bool:
    """Whether "3/23" is a day and not three parts of something."""
    if speech.text(index + 1) == "of":
        return False
    return speech.text(index - 1) in _BEFORE_DATE or _BIRTH.search(speech.before(index, _BIRTH_WORDS)) is not None


def _years(speech: Speech) -> Iterator[Finding]:
    for number in speech.numbers.values():
        if speech.text(number.start - 1) in _BEFORE_YEAR and not speech.pauses[number.start - 1]:
            year = read_year(speech, number.start)
            if year is not None:
                yield Finding("DATE_INTERVAL", number.start, year[0], (year[1],))
                later = read_year(speech, year[0] + 1) if speech.text(year[0]) in _BETWEEN else None
                if later is not None:
                    yield Finding("DATE_INTERVAL", year[0] + 1, later[0], (later[1],))
    for index in speech.places(_DECADES):
        century = speech.number_ends.get(index)
        if century is not None and century.is_whole and 16 <= century.value <= 20:
            yield Finding("DATE_INTERVAL", century.start, index + 1, (f"{century.written}{_DECADES[speech.texts[index]]}",))


def _name(speech: Speech, index: int) -> str:
    text = speech.texts[index]
    return text.capitalize() + ("." if text in _SHORT_MONTHS and speech.words[index].text.endswith(".") else "")


def _ordinal(day: int) -> str:
    ending = "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"
