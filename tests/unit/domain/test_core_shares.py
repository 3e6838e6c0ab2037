from __future__ import annotations

import pytest

from app.domain.core_shares import CoreShares

TWO_CORES = CoreShares(workers=2, threads=1, most=2)
MANY_CORES = CoreShares(workers=4, threads=4, most=8)
FIXED = CoreShares(workers=2, threads=1, most=1)


@pytest.mark.parametrize(
    ("shares", "used", "starting", "expected"),
    [
        (TWO_CORES, 0, 1, 2),
        (TWO_CORES, 0, 2, 1),
        (TWO_CORES, 1, 1, 1),
        (TWO_CORES, 2, 1, 1),
        (TWO_CORES, 0, 0, 2),
        (MANY_CORES, 0, 1, 8),
        (MANY_CORES, 0, 3, 5),
        (MANY_CORES, 8, 2, 4),
        (MANY_CORES, 14, 1, 4),
        (FIXED, 0, 1, 1),
    ],
)
def test_idle_workers_lend_their_threads(shares: CoreShares, used: int, starting: int, expected: int) -> None:
    assert shares.for_decode(used, starting) == expected


def test_nothing_but_finals_starts_before_a_share_is_free() -> None:
    assert TWO_CORES.may_start(1, urgent=False)
    assert not TWO_CORES.may_start(2, urgent=False)
    assert TWO_CORES.may_start(2, urgent=True)
    assert MANY_CORES.may_start(12, urgent=False)
    assert not MANY_CORES.may_start(13, urgent=False)


@pytest.mark.parametrize(
    ("shares", "finals", "used", "lasting", "expected"),
    [
        (TWO_CORES, 1, 2, 0, True),  # an interim has both
        (TWO_CORES, 1, 1, 0, True),  # an interim has one
        (TWO_CORES, 1, 0, 0, False),
        (TWO_CORES, 1, 1, 1, False),  # the other one is a recording's: nothing to be had
        (TWO_CORES, 1, 2, 1, True),
        (TWO_CORES, 1, 2, 2, False),
        (MANY_CORES, 1, 8, 0, False),
        (MANY_CORES, 3, 8, 0, True),
        (MANY_CORES, 9, 4, 0, True),
        (FIXED, 1, 1, 0, False),  # more than its own thread is of no use to it
        (FIXED, 2, 1, 0, True),
    ],
)
def test_finals_lack_what_could_be_taken_from_interims(
    shares: CoreShares, finals: int, used: int, lasting: int, expected: bool
) -> None:
    assert shares.lacks(finals, used, lasting) is expected
