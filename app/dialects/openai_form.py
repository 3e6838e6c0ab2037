"""The text fields of an OpenAI form: lists in either spelling, numbers, choices, and errors that name the field."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.errors import InvalidParameter


class Form:
    """Fields by name. ``name[]`` and ``name[0]`` are entries of the list ``name``, ``name[key]`` is its own field.

    Of a field that is no list the last value counts. Unknown fields stay unread.
    """

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            base, bracket, index = name.partition("[")
            plain = base if bracket and (index == "]" or index.removesuffix("]").isdigit()) else name
            self._values.setdefault(plain, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        """The value, stripped; None when absent or empty."""
        values = self._values.get(name)
        return (values[-1].strip() or None) if values else None

    def texts(self, name: str) -> tuple[str, ...]:
        """The entries of a list, stripped, empty ones left out."""
        return tuple(value.strip() for value in self._values.get(name, ()) if value.strip())

    def flag(self, name: str) -> bool:
        """``true`` or ``false`` in any case, as the SDKs write them, or 1 or 0; absent: false."""
        value = (self.text(name) or "false").lower()
        if value not in ("true", "false", "1", "0"):
            raise unusable(name, "expected true or false")
        return value in ("true", "1")

    def number(self, name: str, minimum: float, maximum: float) -> float | None:
        """A number within bounds, or None when absent."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            raise unusable(name, "expected a number") from None
        if not minimum <= number <= maximum:  # refuses NaN as well
            raise unusable(name, f"expected {minimum:g} to {maximum:g}")
        return number

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of ``allowed``, in any case."""
        return _among(name, self.text(name) or default, allowed)

    def choices(self, name: str, allowed: tuple[str, ...]) -> frozenset[str]:
        """A list of which every entry is one of ``allowed``."""
        return frozenset(_among(name, value, allowed) for value in self.texts(name))


def unusable(name: str, detail: str) -> InvalidParameter:
    """The error for a field. ``detail`` must hold nothing that should not be shown."""
    return InvalidParameter(f"Invalid value for '{name}': {detail}.", parameter=name)


def _among(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value.lower() not in allowed:
        raise unusable(name, "expected one of " + ", ".join(f"'{item}'" for item in allowed))
    return value.lower()
