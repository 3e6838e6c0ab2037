"""Interims are asked for only as fast as the other server answers."""

from __future__ import annotations

import pytest

from app.engines.remote_pace import PAUSE_S, InterimPace


def test_a_new_server_may_be_asked_at_once() -> None:
    assert InterimPace(4).wait_s(0.0, running=0) == 0.0


def test_half_of_the_places_are_for_interims_and_at_least_one() -> None:
    assert InterimPace(4).wait_s(0.0, running=1) == 0.0
    assert InterimPace(4).wait_s(0.0, running=2) is None
    assert InterimPace(1).wait_s(0.0, running=0) == 0.0
    assert InterimPace(1).wait_s(0.0, running=1) is None


def test_a_single_place_is_free_for_finals_half_of_the_time() -> None:
    pace = InterimPace(1)
    pace.took(0.4)
    pace.sent(10.0)
    assert pace.wait_s(10.4, running=0) == pytest.approx(0.4)


def test_slower_answers_thin_interims_out() -> None:
    pace = InterimPace(2)
    pace.took(0.1)
    for _ in range(30):
        pace.took(2.0)
    pace.sent(0.0)
    wait_s = pace.wait_s(0.0, running=0)
    assert wait_s is not None
    assert 1.9 < wait_s <= 2.0


def test_after_a_failure_there_is_a_pause_as_long_as_was_asked_for() -> None:
    pace = InterimPace(2)
    pace.failed(5.0)
    assert pace.wait_s(5.0, running=0) == PAUSE_S
    pace.failed(5.0, wait_s=30.0)
    assert pace.wait_s(5.0, running=0) == 30.0
