"""Sums of money: ``twenty five dollars and fifty cents``, ``$5 million``, ``20 euros``."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.text.finders.numbers import Number
from app.domain.text.finders.speech import Speech
from app.domain.text.finding import Finding

_SYMBOLS = "$€£¥₹"
_CURRENCIES = {
    "dollar": "$", "dollars": "$", "bucks": "$", "euro": "€", "euros": "€", "quid": "£", "yen": "¥", "rupee": "₹",
    "rupees": "₹",
}  # fmt: skip
_CURRENCIES_OF_TWO = {
    ("pound", "sterling"): "£",
    ("pounds", "sterling"): "£",
    ("us", "dollars"): "$",
    ("u.s", "dollars"): "$",
}
_HUNDREDTHS = {"cent": "$€", "cents": "$€", "penny": "£", "pence": "£"}


def find_money(speech: Speech) -> Iterator[Finding]:
    """Amounts with a currency, spoken or written. Larger ones get thousands separators, as print has them."""
    for number in speech.numbers.values():
        currency = _currency(speech, number.end)
        if currency is None or number.ordinal or not speech.joined(number.start, number.end + 1):
            continue
        symbol, end = currency
        amount = _amount(speech, number)
        if amount is None:
            continue
        start, whole, scale = amount
        small = None if scale or "." in whole else _small(speech, end, symbol)
        if small is not None:
            hundredths, end = small
            whole = f"{whole}.{hundredths:02d}"
        yield Finding("MONEY", start, end, (f"{symbol}{whole}", scale) if scale else (f"{symbol}{whole}",))
    for index in speech.places(_HUNDREDTHS):
        cents = speech.number_ends.get(index)
        if cents is not None and cents.is_whole and speech.joined(cents.start, index + 1):
            yield Finding("MONEY", cents.start, index + 1, (cents.written, speech.texts[index]))
    yield from _written(speech)


def _currency(speech: Speech, index: int) -> tuple[str, int] | None:
    """The symbol of the currency named at ``index`` and where its name ends."""
    two = _CURRENCIES_OF_TWO.get((speech.text(index), speech.text(index + 1)))
    if two is not None:
        return two, index + 2
    symbol = _CURRENCIES.get(speech.text(index))
    return None if symbol is None else (symbol, index + 1)


def _amount(speech: Speech, number: Number) -> tuple[int, str, str] | None:
    """Where the amount begins, its digits, and its scale word."""
    if number.scale == "hundred" or number.scale == "thousand":
        return None
    if number.scale:
        return number.start, number.written, number.scale
    if not number.is_whole:
        return number.start, number.written, ""
    value = number.value
    before = speech.number_ends.get(number.start)
    if (
        before is not None
        and number.spoken
        and 20 <= value <= 99
        and _is_said_digit(before)
        and not speech.pauses[number.start - 1]
    ):
        # "one twenty dollars", "three forty five euros": hundreds that nobody says
        return before.start, f"{before.written}{number.written}", ""
    return number.start, f"{value:,}" if number.spoken else number.written, ""


def _is_said_digit(number: Number) -> bool:
    return number.spoken and number.is_whole and len(number.written) == 1


def _small(speech: Speech, index: int, symbol: str) -> tuple[int, int] | None:
    """``(and) fifty (cents)`` at ``index``: the hundredths and where they end."""
    start = index + 1 if speech.text(index) == "and" else index
    number = speech.number(start)
    if number is None or not number.is_whole or not 0 < number.value < 100 or not speech.joined(index - 1, number.end):
        return None
    named = symbol in _HUNDREDTHS.get(speech.text(number.end), "")
    if named and speech.joined(start, number.end + 1):
        return number.value, number.end + 1
    # "fifteen dollars fifty", but not "fifteen dollars fifty times"
    closed = number.end >= len(speech) or speech.pauses[number.end - 1]
    unnamed = start == index and closed and number.value >= 10 and not speech.pauses[index - 1]
    return (number.value, number.end) if unnamed else None


def _written(speech: Speech) -> Iterator[Finding]:
    for text, indices in speech.positions.items():
        if len(text) > 1 and (text[0] in _SYMBOLS or text[-1] in _SYMBOLS) and any(map(str.isdecimal, text)):
            for index in indices:
                shown = speech.shown(index)
                scaled = speech.text(index + 1) in {"million", "billion", "trillion", "thousand", "hundred"}
                if scaled and not speech.pauses[index]:
                    yield Finding("MONEY", index, index + 2, (shown, speech.text(index + 1)))
                else:
                    yield Finding("MONEY", index, index + 1, (shown,))
