"""Sums of money: ``twenty five dollars and fifty cents``, ``$5 million``, ``20 euros``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.domain.text.finders.numbers import Number
from app.domain.text.finders.speech import Speech
from app.domain.text.finding import Finding

_SYMBOLS = "$€£¥₹"
_SIGNS = frozenset(_SYMBOLS)
_WRITTEN = re.compile(r"(?:us|ca|c|au|a|nz|hk|s)?[$€£¥₹]\d\S*|\d\S*[$€£¥₹]")
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
_WITHOUT_SYMBOL = frozenset({
    "pesos", "peso", "francs", "franc", "yuan", "dirhams", "rubles", "roubles", "shekels", "kroner", "kronor", "zloty",
    "rand", "reais", "usd", "eur", "gbp", "cad", "aud", "chf",
})  # fmt: skip
_POUNDS = frozenset({"pound", "pounds"})
_OF_MONEY = frozenset({
    "pay", "paid", "pays", "paying", "cost", "costs", "costing", "price", "priced", "worth", "spend", "spent", "owe", "owes",
    "owed", "charge", "charged", "fee", "salary", "bill", "earn", "earns", "sold", "budget", "refund", "deposit", "rent",
})  # fmt: skip
"""Words after which pounds are no weight."""

_MONEY_CONTEXT = 5
_SCALES = frozenset({"hundred", "thousand", "million", "billion", "trillion"})
_VAGUE = frozenset({"a", "half", "couple", "few", "several", "of", "and", "to", "or", "quarter"})
_MOST_VAGUE_WORDS = 6
_HUNDREDTHS = {"cent": "$€", "cents": "$€", "penny": "£", "pence": "£"}


def find_money(speech: Speech) -> Iterator[Finding]:
    """Amounts with a currency, spoken or written. Larger ones get thousands separators, as print has them."""
    for index in speech.places((*_CURRENCIES, *_WITHOUT_SYMBOL)):
        if speech.text(index - 1) in _SCALES:
            yield from _roughly(speech, index)
    for number in speech.numbers.values():
        if speech.text(number.end) in _WITHOUT_SYMBOL and not number.ordinal and speech.joined(number.start, number.end + 1):
            yield Finding("MONEY", number.start, number.end + 1, (*number.shown, speech.shown(number.end)))
            continue
        currency = _currency(speech, number.end) or _pounds(speech, number)
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


def _pounds(speech: Speech, number: Number) -> tuple[str, int] | None:
    """Pounds, where they are no weight: after "paid", or with pence."""
    end = number.end + 1
    if speech.text(number.end) not in _POUNDS or speech.text(end) in {"of", "heavier", "lighter", "heavy"}:
        return None
    is_money = not _OF_MONEY.isdisjoint(speech.texts[max(0, number.start - _MONEY_CONTEXT) : number.start])
    return ("£", end) if is_money or _small(speech, end, "£") else None


def _roughly(speech: Speech, index: int) -> Iterator[Finding]:
    """Amounts that begin with words: "half a million dollars", "two to three hundred dollars"."""
    start, floor = index, index - _MOST_VAGUE_WORDS
    while start > max(floor, 0) and not speech.closes[start - 1]:
        number = speech.number_ends.get(start)
        if number is not None:
            start = number.start
        elif speech.texts[start - 1] in _VAGUE | _SCALES or speech.texts[start - 1 : start + 1] == ["one", "and"]:
            start -= 1
        else:
            break
    while speech.texts[start] in {"of", "and", "to", "or"}:
        start += 1
    first = speech.number(start)
    if first is not None and first.end == index:
        return
    if speech.texts[start] in {"half", "a", "couple", "few", "several", "one"} or (
        first is not None and first.end < index - 1
    ):
        yield Finding("MONEY", start, index + 1, tuple(speech.texts[start : index + 1]))


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
        and speech.text(number.end) not in {"dollar", "euro"}  # "two twenty dollar bills"
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
    for index in speech.places(_SYMBOLS):
        if (number := speech.number(index + 1)) is not None and not speech.pauses[index]:
            yield Finding("MONEY", index, number.end, (f"{speech.texts[index]}{number.written}", *number.shown[1:]))
        elif (number := speech.number_ends.get(index)) is not None and not speech.pauses[index - 1]:
            yield Finding("MONEY", number.start, index + 1, (f"{number.written}{speech.texts[index]}",))
    for text, indices in speech.positions.items():
        if not _SIGNS.isdisjoint(text) and _WRITTEN.fullmatch(text):
            for index in indices:
                shown = speech.shown(index)
                scaled = speech.text(index + 1) in {"million", "billion", "trillion", "thousand", "hundred"}
                if scaled and not speech.pauses[index]:
                    yield Finding("MONEY", index, index + 2, (shown, speech.text(index + 1)))
                else:
                    yield Finding("MONEY", index, index + 1, (shown,))
