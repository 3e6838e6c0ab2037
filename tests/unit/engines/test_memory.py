from __future__ import annotations

import sys

import pytest

from app.engines.memory import expected_bytes

TINY, BASE = 77_700_000, 148_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers do not share their weights")
@pytest.mark.parametrize(
    ("weights_bytes", "workers", "flash_attention", "measured_mb"),
    [(TINY, 2, True, 281), (BASE, 1, True, 315), (BASE, 2, True, 410), (BASE, 2, False, 592)],
)
def test_no_pool_takes_more_than_is_expected_or_much_less(
    weights_bytes: int, workers: int, flash_attention: bool, measured_mb: int
) -> None:
    """Against what pools of two sizes were measured to have (PSS, after full windows)."""
    expected = expected_bytes(weights_bytes, workers, 1, flash_attention=flash_attention)
    assert measured_mb <= expected / 1e6 <= 1.2 * measured_mb
