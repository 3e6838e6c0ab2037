from __future__ import annotations

from app.engines.crew import LONGEST_BACKOFF_S, QUICK_RESTARTS, backoff_s


def test_the_first_deaths_are_mended_at_once() -> None:
    assert [backoff_s(failures) for failures in range(QUICK_RESTARTS + 1)] == [0.0] * (QUICK_RESTARTS + 1)


def test_later_ones_wait_longer_and_longer_up_to_a_limit() -> None:
    waits = [backoff_s(failures) for failures in range(QUICK_RESTARTS + 1, 30)]
    assert waits == sorted(waits)
    assert waits[0] > 0.0
    assert waits[-1] == LONGEST_BACKOFF_S
