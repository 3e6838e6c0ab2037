from __future__ import annotations

import numpy as np
import pytest

from app.domain.audio import Pcm16k
from app.domain.stream.hangover import gets_louder


def tail(*levels: float) -> Pcm16k:
    """One window of each amplitude."""
    return np.repeat(np.float32(levels), 512)


@pytest.mark.parametrize("levels", [(0.1, 0.1, 0.1), (0.1, 0.02, 0.01), (0.1, 0.15, 0.19), (0.0, 0.0, 0.001), (0.1,), ()])
def test_what_fades_or_stays_is_still(levels: tuple[float, ...]) -> None:
    assert not gets_louder(tail(*levels), 512)


@pytest.mark.parametrize("levels", [(0.1, 0.25, 0.1), (0.01, 0.01, 0.03), (0.0, 0.0, 0.01)])
def test_what_stands_out_is_heard(levels: tuple[float, ...]) -> None:
    assert gets_louder(tail(*levels), 512)


def test_steady_noise_is_still() -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, (200, 1536)).astype(np.float32)
    assert not any(gets_louder(stretch, 512) for stretch in noise)


def test_an_unfinished_window_does_not_count() -> None:
    assert not gets_louder(np.concatenate([tail(0.01, 0.01), tail(0.5)[:511]]), 512)


def test_samples_that_are_no_numbers_or_huge_are_no_error() -> None:
    assert not gets_louder(tail(0.01, float("nan")), 512)
    assert gets_louder(tail(0.01, 3e38), 512)
