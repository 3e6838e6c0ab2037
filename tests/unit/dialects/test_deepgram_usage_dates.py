"""Dates of questions about usage: at the ends of the calendar there is nothing to ask about."""

from __future__ import annotations

from datetime import date

import pytest

from app.dialects.deepgram_usage import parse_page, parse_sums
from app.domain.errors import InvalidRequest

TODAY = date(2027, 1, 31)


@pytest.mark.parametrize("query", [b"end=0001-01-01", b"end=0001-01-15", b"end=9999-12-31", b"start=0001-01-01"])
def test_the_first_and_the_last_year_are_refused(query: bytes) -> None:
    with pytest.raises(InvalidRequest, match="expected a year"):
        parse_sums(query, TODAY)
    with pytest.raises(InvalidRequest, match="expected a year"):
        parse_page(query)


def test_an_end_without_a_start_counts_back() -> None:
    asked = parse_sums(b"end=1970-01-01", TODAY)
    assert (asked.first, asked.last) == (date(1969, 12, 2), date(1970, 1, 1))


def test_a_long_text_is_no_date() -> None:
    for text in (b"T" * 32_000, b"2027-01-31" + b"0" * 1000, b"2027-01-31T00:00:00." + b"0" * 1000):
        with pytest.raises(InvalidRequest):
            parse_page(b"start=" + text)
