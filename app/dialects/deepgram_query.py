"""Query strings as Deepgram's clients write them (contract 2.1): booleans, lists, and the errors for what cannot be read."""

from __future__ import annotations

import ast
from urllib.parse import parse_qsl

from app.domain.errors import InvalidParameter, InvalidRequest

_TRUE = frozenset({"true", "1", "yes", "on", ""})
_FALSE = frozenset({"false", "0", "no", "off"})
_MAX_FIELDS = 2000
_MAX_LIST_CHARACTERS = 8192
"""A longer value is no list: Python takes 4 ms to read as much as this, and 140 ms for a whole query of brackets."""

_UNSET = "None"
"""How the Python SDK 3 writes an option that is not set."""


class Query:
    """The parameters of one request. Unknown names stay unread; of a single-valued name the last value counts."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if value != _UNSET:
                self._values.setdefault(name, []).append(value)

    @classmethod
    def parse(cls, raw: bytes) -> Query:
        """Split ``raw`` (the part after ``?``), decoding ``+`` and percent escapes."""
        try:
            return cls(parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
        except ValueError as error:
            raise InvalidRequest from error

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def names(self) -> frozenset[str]:
        """Every name that was given."""
        return frozenset(self._values)

    def text(self, name: str) -> str | None:
        """The last value, stripped; None when absent or empty."""
        values = self._values.get(name)
        return (values[-1].strip() or None) if values else None

    def texts(self, name: str) -> tuple[str, ...]:
        """All values, in order; a Python list's repr counts as its elements (old SDKs send those)."""
        return tuple(part for value in self._values.get(name, []) for part in _listed(value))

    def flag(self, name: str) -> bool:
        """A boolean; a bare name is true, an absent one false."""
        values = self._values.get(name)
        if not values:
            return False
        value = values[-1].strip().lower()
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise _unusable(name, "expected `true` or `false`")

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of ``allowed``, in lower case."""
        value = (self.text(name) or default).lower()
        if value not in allowed:
            raise _unusable(name, "expected one of " + ", ".join(f"`{item}`" for item in allowed))
        return value

    def integer(self, name: str, minimum: int, maximum: int) -> int | None:
        """A whole number within bounds, or None when absent."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = int(value)
        except ValueError:
            raise _unusable(name, "expected a whole number") from None
        if not minimum <= number <= maximum:
            raise _unusable(name, f"expected {minimum} to {maximum}")
        return number

    def number(self, name: str, minimum: float, maximum: float) -> float | None:
        """A number within bounds, or None when absent."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            raise _unusable(name, "expected a number") from None
        if not minimum <= number <= maximum:  # refuses NaN as well
            raise _unusable(name, f"expected {minimum:g} to {maximum:g}")
        return number

    def is_used(self, name: str) -> bool:
        """Whether a parameter that may be a boolean or a string asks for something."""
        return any(value.strip().lower() not in _FALSE for value in self._values.get(name, []))


def _listed(value: str) -> list[str]:
    if len(value) > _MAX_LIST_CHARACTERS or not (value.startswith("[") and value.endswith("]")):
        return [value]
    try:
        items = [str(item) for item in ast.literal_eval(value)]
        "".join(items).encode()  # an escape may have made half a character, which no JSON can hold
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return [value]
    return items


def _unusable(name: str, detail: str) -> InvalidParameter:
    return InvalidParameter(f"Failed to deserialize query parameters: {name}: {detail}", parameter=name)
