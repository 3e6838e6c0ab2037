"""Times of day and durations: ``8:37 PM``, ``8 o'clock``, ``2 hours and 30 minutes``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.domain.text.finders.numbers import Number
from app.domain.text.finders.speech import Speech
from app.domain.text.finding import Finding

_HALVES = {
    ("a", "m"): "AM", ("p", "m"): "PM", ("am",): "AM", ("pm",): "PM", ("a.m",): "AM", ("p.m",): "PM",
}  # fmt: skip
_WRITTEN = re.compile(r"(\d{1,2}(?::\d{2}){1,2})([ap]\.?m)?|(\d{1,2}(?:\.\d\d)?)([ap]\.?m)")
_SPAN = re.compile(r"(?:1[0-2]|\d)(?::\d\d)?-(?:1[0-2]|\d)(?::\d\d)?")
_SIDES = frozenset({"past", "to", "after", "till", "before"})
_CLOCK = frozenset({"o'clock", "oclock", "o\u2019clock"})
_AT = frozenset({"at", "until", "till"})
_PARTS_OF_DAY = (
    ("in", "the", "morning"),
    ("in", "the", "afternoon"),
    ("in", "the", "evening"),
    ("at", "night"),
    ("tonight",),
)
_UNITS = frozenset({
    "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "month", "months", "year",
    "years", "decade", "decades", "century", "centuries", "millisecond", "milliseconds", "mins", "hrs", "secs",
})  # fmt: skip
_COUNTED = frozenset({"dollars", "dollar", "percent", "euros", "cents", "people", "miles", "degrees", "pounds"}) | _UNITS
_WRITTEN_DURATION = re.compile(r"\d+-(?:second|minute|hour|day|week|month|year)")


def find_times(speech: Speech) -> Iterator[Finding]:
    """Times of day: with a.m. or p.m., with "o'clock", or hours and minutes after "at"."""
    for index in speech.places(_SIDES):
        finding = _beside_hour(speech, index)
        if finding is not None:
            yield finding
    for number in speech.numbers.values():
        finding = _spoken(speech, number)
        if finding is not None:
            yield finding
            yield from _opening(speech, finding)
    for text, indices in speech.positions.items():
        match = _WRITTEN.fullmatch(text) if text[:1].isdecimal() else None
        if match is None:
            if text[:1].isdecimal() and _SPAN.fullmatch(text):
                halves = [(index, *_half(speech, index + 1)) for index in indices]
                yield from (Finding("TIME", index, end, (text, half)) for index, half, end in halves if half)
            continue
        for index in indices:
            half, end = (_half_name(match[2] or match[4]), index + 1) if match[2] or match[4] else _half(speech, index + 1)
            clock = match[1] or match[3]
            yield Finding("TIME", index, end, (clock, half) if half else (clock,))
    for index in speech.places(("noon", "midnight")):
        yield Finding("TIME", index, index + 1, (speech.texts[index],))


def _beside_hour(speech: Speech, index: int) -> Finding | None:
    """``half past nine``, ``quarter to six pm``, ``twenty past nine``, and after "at" also ``ten to six``."""
    hour = speech.number(index + 1)
    if hour is None or not _is_hour(hour, 12) or not speech.joined(index - 1, hour.end):
        return None
    side, before = speech.texts[index], speech.text(index - 1)
    half, end = _half(speech, hour.end)
    shown = (side, hour.written, half) if half else (side, hour.written)
    if before == "quarter" or (before == "half" and side == "past"):
        return Finding("TIME", index - 1, end, (before, *shown))
    minutes = speech.number_ends.get(index)
    if minutes is None or not minutes.is_whole or not 1 <= minutes.value <= 29 or hour.value == 0:
        return None
    is_certain = side == "past" or (side in {"to", "till"} and (half or speech.text(minutes.start - 1) in _AT))
    return Finding("TIME", minutes.start, end, (minutes.written, *shown)) if is_certain else None


def _opening(speech: Speech, end: Finding) -> Iterator[Finding]:
    """The hour from which a span goes on to ``end``: "between three and five pm", "from 9 to 5 PM"."""
    link = speech.text(end.start - 1)
    hour = speech.number_ends.get(end.start - 1)
    if end.written[-1] not in {"AM", "PM"} or hour is None or not _is_hour(hour, 12) or hour.value == 0:
        return
    before = speech.text(hour.start - 1)
    if (link == "and" and before == "between") or (link in {"to", "till", "until"} and not speech.closes[hour.end - 1]):
        yield Finding("TIME", hour.start, hour.end, (hour.written,))


def find_durations(speech: Speech) -> Iterator[Finding]:
    """Numbers with units of time, several of them where "and" joins them."""
    reached = 0
    for number in sorted(speech.numbers.values(), key=lambda number: number.start):
        if number.start < reached:
            continue
        written, end = _duration(speech, number)
        while written and not speech.closes[end - 1]:
            following = speech.number(end + 1 if speech.text(end) == "and" else end)
            more, after = ((), 0) if following is None else _duration(speech, following)
            if not more:
                break
            written, end = (*written, *speech.texts[end : following.start if following else end], *more), after
        if written:
            reached = end
            yield Finding("DURATION", number.start, end, written)
    for text, indices in speech.positions.items():
        if _WRITTEN_DURATION.fullmatch(text):
            yield from (Finding("DURATION", index, index + 1, (text,)) for index in indices)


def _duration(speech: Speech, number: Number) -> tuple[tuple[str, ...], int]:
    """What stands for ``number`` and the unit after it, and where they end; nothing where no unit follows."""
    if number.ordinal or speech.closes[number.end - 1]:
        return (), 0
    end = number.end + 3 if speech.follows(number.end, "and", "a", "half") else number.end
    if speech.text(end) not in _UNITS:
        return (), 0
    return (*number.shown, *speech.texts[number.end : end + 1]), end + 1


def _spoken(speech: Speech, hour: Number) -> Finding | None:
    if not _is_hour(hour, 23):
        return None
    clock, end = _minutes(speech, hour)
    if speech.text(end) in _CLOCK or speech.follows(end, "o", "clock"):
        if end > hour.end:
            return None
        after = end + 1 if speech.texts[end] in _CLOCK else end + 2
        half, after = _half(speech, after)
        return Finding("TIME", hour.start, after, (hour.written, "o'clock", half) if half else (hour.written, "o'clock"))
    half, after = _half(speech, end)
    if half and hour.value <= 12 and not (speech.texts[after - 1] == "am" and speech.text(hour.start - 1) == "i"):
        return Finding("TIME", hour.start, after, (clock, half))
    if speech.text(end) in _COUNTED or end in speech.numbers or speech.closes[end - 1]:
        return None
    in_day = any(speech.follows(end, *part) for part in _PARTS_OF_DAY)
    if end == hour.end:
        # "nine in the morning"; but "twenty in the morning" counts something
        return Finding("TIME", hour.start, end, (clock,)) if in_day and 1 <= hour.value <= 12 else None
    in_context = speech.text(hour.start - 1) in _AT or in_day
    return Finding("TIME", hour.start, end, (clock,)) if in_context else None


def _minutes(speech: Speech, hour: Number) -> tuple[str, int]:
    """The clock's reading that begins with ``hour``, and where it ends."""
    if speech.pauses[hour.end - 1]:
        return hour.written, hour.end
    minutes = speech.number(hour.end)
    if minutes is not None and minutes.is_whole and len(minutes.written) == 2 and 10 <= minutes.value <= 59:
        return f"{hour.written}:{minutes.written}", minutes.end
    single = speech.number(hour.end + 1)
    if speech.text(hour.end) in {"oh", "o"} and single is not None and len(single.written) == 1:
        return f"{hour.written}:0{single.written}", single.end
    return hour.written, hour.end


def _half(speech: Speech, index: int) -> tuple[str, int]:
    """``AM`` or ``PM`` at ``index`` and where it ends; nothing where neither stands."""
    if index == 0 or index > len(speech) or speech.closes[index - 1]:
        return "", index
    for spelled, half in _HALVES.items():
        if speech.follows(index, *spelled):
            return half, index + len(spelled)
    return "", index


def _half_name(text: str) -> str:
    return text.replace(".", "").upper()


def _is_hour(number: Number, most: int) -> bool:
    return number.is_whole and len(number.written) <= 2 and number.value <= most
