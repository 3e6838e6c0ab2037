from __future__ import annotations

import numpy as np
import pytest

from app.domain.stream.window import CHUNK_SAMPLES, AudioWindow
from tests.support.script import ramp


def filled(*sizes: int) -> AudioWindow:
    window = AudioWindow()
    for size in sizes:
        window.append(ramp(window.end_samples, window.end_samples + size))
    return window


@pytest.mark.parametrize("sizes", [(20_000,), (1, 7_999, 1, 11_999), (0, 8_000, 8_000, 4_000), (6_666, 6_667, 6_667)])
def test_any_split_gives_the_same_samples(sizes: tuple[int, ...]) -> None:
    window = filled(*sizes)
    for start, end in ((0, 20_000), (7_999, 8_001), (8_000, 16_000), (19_999, 20_000), (5, 5)):
        assert np.array_equal(window.copy(start, end), ramp(start, end))


def test_a_copy_is_independent_of_the_window_and_the_window_of_its_input() -> None:
    window = AudioWindow()
    pcm = ramp(0, 10)
    window.append(pcm)
    pcm[:] = -1
    window.copy(0, 10)[:] = -2
    assert np.array_equal(window.copy(0, 10), ramp(0, 10))


def test_forgetting_frees_whole_chunks_and_keeps_positions() -> None:
    window = filled(10 * CHUNK_SAMPLES)
    window.discard_before(4 * CHUNK_SAMPLES + 17)
    assert window.retained_samples == 6 * CHUNK_SAMPLES
    assert np.array_equal(window.copy(4 * CHUNK_SAMPLES + 17, 5 * CHUNK_SAMPLES), ramp(32_017, 40_000))
    window.append(ramp(80_000, 80_100))
    assert np.array_equal(window.copy(79_990, 80_100), ramp(79_990, 80_100))


def test_forgetting_beyond_the_end_keeps_the_position() -> None:
    window = filled(CHUNK_SAMPLES, 100)
    window.discard_before(50_000)
    window.append(ramp(8_100, 20_000))
    assert window.end_samples == 20_000
    assert np.array_equal(window.copy(8_000, 20_000), ramp(8_000, 20_000))


@pytest.mark.parametrize(("start", "end"), [(0, 10), (7_999, 9_000), (9_000, 8_999), (20_000, 20_001)])
def test_what_is_not_there_is_refused_and_never_padded(start: int, end: int) -> None:
    window = filled(20_000)
    window.discard_before(8_000)
    with pytest.raises(AssertionError):
        window.copy(start, end)
