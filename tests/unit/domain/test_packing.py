from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.packing import Packing, plan_chunks

PACKING = Packing()
EDGES_S = 0.5
ROOM_S = PACKING.step_s - PACKING.margin_s - EDGES_S
"""Speech that one step holds."""

MAX_S = 28.0


def plan(runs: list[tuple[float, float]], packing: Packing = PACKING) -> list[int]:
    return plan_chunks(runs, packing, EDGES_S, MAX_S)


def cost(runs: list[tuple[float, float]], begins: list[int], packing: Packing) -> float:
    return sum(
        packing.cost(runs[after - 1][1] - runs[first][0] + EDGES_S) for first, after in pairwise([*begins, len(runs)])
    )


runs_of_speech = st.lists(st.tuples(st.floats(0.1, 1.9), st.floats(0.1, 3.0)), min_size=1, max_size=9).map(
    lambda steps: [
        (sum(gap + length for gap, length in steps[:place]) + gap, sum(gap + length for gap, length in steps[: place + 1]))
        for place, (gap, _) in enumerate(steps)
    ]
)


def test_one_step_is_filled_before_another_is_paid_for() -> None:
    half = ROOM_S / 2
    assert plan([(0.0, half - 0.5), (half, ROOM_S)]) == [0]
    assert plan([(0.0, half), (half + 0.5, ROOM_S + 0.5)]) == [0, 1]


def test_a_pause_that_would_cost_a_step_is_left_out() -> None:
    assert plan([(0.0, 3.0), (4.9, 7.9), (9.8, 12.8)]) == [0, 1, 2]


def test_speech_is_not_cut_at_a_breath_to_save_work() -> None:
    breath = PACKING.min_pause_s - 0.01
    assert plan([(0.0, 3.0), (3.0 + breath, 6.0)]) == [0]
    assert plan([(0.0, 3.0), (3.0 + 2 * breath, 6.3)]) == [0, 1]


def test_no_chunk_is_longer_than_allowed_where_a_pause_prevents_it() -> None:
    runs = [(start, start + 9.5) for start in range(0, 60, 10)]
    dear = Packing(chunk_cost=1000.0)
    begins = plan(runs, dear)
    lengths = [runs[after - 1][1] - runs[first][0] + EDGES_S for first, after in pairwise([*begins, len(runs)])]
    assert len(begins) == 3
    assert max(lengths) <= MAX_S


def test_a_step_more_costs_more_until_the_window_is_full() -> None:
    costs = [PACKING.cost(step * PACKING.step_s - PACKING.margin_s) for step in range(1, 6)]
    assert costs == sorted(costs)
    assert PACKING.cost(29.5) == pytest.approx(PACKING.cost(29.4), rel=0.01)


@pytest.mark.parametrize("packing", [PACKING, Packing(step_s=1.28)])
@given(runs=runs_of_speech)
def test_no_other_way_to_cut_is_cheaper(packing: Packing, runs: list[tuple[float, float]]) -> None:
    allowed = [place for place in range(1, len(runs)) if runs[place][0] - runs[place - 1][1] >= PACKING.min_pause_s]
    ways = [[0, *(place for place, taken in zip(allowed, choice, strict=True) if taken)] for choice in product(
        (False, True), repeat=len(allowed)
    )]  # fmt: skip
    bounded = [
        way for way in ways if all(runs[b - 1][1] - runs[a][0] + EDGES_S <= MAX_S for a, b in pairwise([*way, len(runs)]))
    ]
    cheapest = min(cost(runs, way, packing) for way in bounded or ways)
    assert cost(runs, plan(runs, packing), packing) == pytest.approx(cheapest)
