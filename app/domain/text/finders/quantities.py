"""Plain numbers and what is counted: ordinals, percentages, ages, measures."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.text.finders.numbers import read_spelled
from app.domain.text.finders.speech import Speech
from app.domain.text.finding import Finding

UNITS = {
    "milligram": "mg", "milligrams": "mg", "centigram": "cg", "centigrams": "cg", "gram": "g", "grams": "g", "kilogram":
    "kg", "kilograms": "kg", "kilo": "kg", "kilos": "kg", "milliliter": "ml", "milliliters": "ml", "millilitre": "ml",
    "millilitres": "ml", "centiliter": "cl", "centiliters": "cl", "centilitre": "cl", "centilitres": "cl", "liter": "l",
    "liters": "l", "litre": "l", "litres": "l", "kiloliter": "kl", "kiloliters": "kl", "kilolitre": "kl", "kilolitres":
    "kl", "millimeter": "mm", "millimeters": "mm", "millimetre": "mm", "millimetres": "mm", "centimeter": "cm",
    "centimeters": "cm", "centimetre": "cm", "centimetres": "cm", "meter": "m", "meters": "m", "metre": "m", "metres": "m",
    "kilometer": "km", "kilometers": "km", "kilometre": "km", "kilometres": "km",
}  # fmt: skip
"""Units that ``measurements`` abbreviates (contract 2.2)."""

_OTHER_UNITS = frozenset({
    "mg", "cg", "g", "kg", "ml", "cl", "l", "kl", "mm", "cm", "m", "km", "pounds", "pound", "lbs", "ounces", "ounce", "oz",
    "tons", "tonnes", "inches", "inch", "feet", "foot", "ft", "yards", "yard", "miles", "mile", "acres", "acre", "gallons",
    "gallon", "degrees", "watts", "kilowatts", "volts", "amps", "hertz", "megahertz", "gigahertz", "megabytes", "gigabytes",
    "terabytes", "kilobytes", "bytes", "bits", "calories", "mph", "kph", "knots", "hectares", "micrograms", "mcg",
})  # fmt: skip

_VERBS = frozenset({"am", "is", "was"})
_SAYING_AGES = _VERBS | {"i'm", "he's", "she's", "i\u2019m", "he\u2019s", "she\u2019s", "turned", "turning"}
_PERSONS = frozenset({"i", "he", "she", "who"})
_TENS = frozenset(range(20, 100, 10))
_AGE_UNITS = frozenset({"year", "years", "month", "months", "week", "weeks", "day", "days"})
_AGE_ENDINGS = ("-year-old", "-years-old", "-month-old", "-week-old", "-day-old")


def find_percentages(speech: Speech) -> Iterator[Finding]:
    """``fifty percent``, ``50 per cent``, ``50%``."""
    for index in speech.places(("percent", "per")):
        end = index + 1 if speech.texts[index] == "percent" else index + 2
        number = speech.number_ends.get(index)
        if number is None or number.ordinal or number.scale or not speech.joined(number.start, end):
            continue
        if end == index + 1 or speech.text(index + 1) == "cent":
            yield Finding("PERCENT", number.start, end, (f"{number.written}%",))
    for text, indices in speech.positions.items():
        if text.endswith("%") and text[:1].isdecimal():
            yield from (Finding("PERCENT", index, index + 1, (text,)) for index in indices)


def find_ages(speech: Speech) -> Iterator[Finding]:
    """``twenty five years old``, ``25 years of age``, ``aged forty two``, ``I'm 25``, ``a 25-year-old``."""
    yield from _years_old(speech)
    for index in speech.places(("aged", "age")):
        number = speech.number(index + 1) or (speech.number(index + 2) if speech.text(index + 1) == "of" else None)
        if number is not None and number.is_whole and number.value < 130 and speech.joined(index, number.end):
            yield Finding("AGE", number.start, number.end, number.shown)
    for index in speech.places(_SAYING_AGES):
        if speech.texts[index] not in _VERBS or speech.text(index - 1) in _PERSONS:
            yield from _alone(speech, index + 1)
    for text, indices in speech.positions.items():
        if text.endswith(_AGE_ENDINGS):
            count, unit, _ = text.rsplit("-", 2)
            written = count if count.isdecimal() else read_spelled(count)
            if written:
                yield from (_compound_age(speech, index, written, unit) for index in indices)


def _years_old(speech: Speech) -> Iterator[Finding]:
    for index in speech.places(("old",)):
        number = speech.number_ends.get(index - 1)
        half = speech.number_ends.get(index - 4) if speech.follows(index - 4, "and", "a", "half") else None
        for found in filter(None, (number, half)):
            if speech.text(index - 1) in _AGE_UNITS and speech.joined(found.start, index):
                yield Finding("AGE", found.start, index + 1, (*found.shown, *speech.texts[found.end : index + 1]))
    for index in speech.places(("age",)):
        number = speech.number_ends.get(index - 2)
        if number is not None and speech.text(index - 2) in _AGE_UNITS and speech.text(index - 1) == "of":
            yield Finding("AGE", number.start, index + 1, (*number.shown, *speech.texts[number.end : index + 1]))


def _alone(speech: Speech, index: int) -> Iterator[Finding]:
    """An age that nothing follows: "I'm twenty five.", "she turned 30, and ..."."""
    number = speech.number(index)
    if number is None or not number.is_whole or not 1 <= number.value <= 110 or speech.pauses[index - 1]:
        return
    if number.end == len(speech) or speech.pauses[number.end - 1] or speech.text(number.end) in {"and", "now", "but"}:
        yield Finding("AGE", number.start, number.end, number.shown)


def _compound_age(speech: Speech, index: int, count: str, unit: str) -> Finding:
    """``twenty five-year-old``: the tens may be a word of their own."""
    tens = speech.number_ends.get(index)
    if tens is not None and tens.spoken and tens.is_whole and tens.value in _TENS and len(count) == 1 and count != "0":
        return Finding("AGE", tens.start, index + 1, (f"{tens.value + int(count)}-{unit}-old",))
    return Finding("AGE", index, index + 1, (f"{count}-{unit}-old",))


def find_measures(speech: Speech) -> Iterator[Finding]:
    """``five kilograms``, ``10 miles``: a number and its unit, the unit as it was said."""
    for number in speech.numbers.values():
        unit = speech.text(number.end)
        if (unit in UNITS or unit in _OTHER_UNITS) and not number.ordinal and speech.joined(number.start, number.end + 1):
            yield Finding("UNITS", number.start, number.end + 1, (*number.shown, unit))


def find_numbers(speech: Speech) -> Iterator[Finding]:
    """Every number that means nothing more. Digits said one by one are one finding, a word for each."""
    for run in speech.runs:
        if run.year:
            yield Finding("NUMBER", run.start, run.end, (run.year,))
        elif len(run.pieces) > 1 or run.pieces[0].number is None:
            yield Finding("NUMBER", run.start, run.end, tuple(text for piece in run.pieces for text in piece.written))
    for number in speech.numbers.values():
        if number.vague:
            continue
        yield Finding("ORDINAL" if number.ordinal else "NUMBER", number.start, number.end, number.shown)
