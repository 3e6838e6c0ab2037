"""The resampler of live streams: as good as soxr for speech, and without its delay."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from app.audio.live_resample import live_resampler
from tests.support.clips import sweeps

RATES = [8000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]


def tone(rate: int, hertz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)[None]


def whole(block: np.ndarray, rate: int) -> np.ndarray:
    resampler = live_resampler(rate, len(block))
    return np.concatenate([resampler.feed(block), resampler.flush()], axis=1)


@pytest.mark.parametrize("rate", RATES)
def test_agrees_with_soxr(rate: int) -> None:
    sound = sweeps(rate, 1.0)
    expected = soxr.resample(sound[0], rate, 16_000, quality="VHQ")
    assert abs(whole(sound, rate).shape[1] - len(expected)) <= 1
    size = min(len(expected), whole(sound, rate).shape[1])
    assert np.abs(whole(sound, rate)[0, :size] - expected[:size]).max() < 1e-4


@pytest.mark.parametrize("rate", RATES)
def test_lags_by_5_ms_at_most(rate: int) -> None:
    resampler, sound, out = live_resampler(rate, 1), sweeps(rate, 1.0), 0
    for begin in range(0, rate, rate // 50):
        out += resampler.feed(sound[:, begin : begin + rate // 50]).shape[1]
        assert min(begin + rate // 50, rate) / rate - out / 16_000 < 0.005


@pytest.mark.parametrize("rate", [*RATES, 7999])
def test_does_not_depend_on_how_the_samples_are_cut(rate: int) -> None:
    sound, rng, resampler = sweeps(rate, 1.0, 2), np.random.default_rng(rate), live_resampler(rate, 2)
    blocks, at = [], 0
    while at < sound.shape[1]:
        size = int(rng.integers(0, 900))
        blocks.append(resampler.feed(sound[:, at : at + size]))
        at += size
    blocks.append(resampler.flush())
    assert np.abs(np.concatenate(blocks, axis=1) - whole(sound, rate)).max() < 1e-5


@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000])
def test_what_16_khz_cannot_hold_is_removed(rate: int) -> None:
    assert np.abs(whole(tone(rate, 9000), rate)[0, 500:-500]).max() < 1e-3


@pytest.mark.parametrize("rate", [8000, 11_025])
def test_no_mirror_image_appears_above_the_source(rate: int) -> None:
    spectrum = np.abs(np.fft.rfft(whole(tone(rate, 1000), rate)[0, 2000:10_000] * np.hanning(8000)))
    assert spectrum[rate // 4 + 200 :].max() < 1e-3 * spectrum.max()


@pytest.mark.parametrize("rate", RATES)
def test_the_telephone_band_passes_whole(rate: int) -> None:
    for hertz in (300, 1000, 3400):
        level = np.abs(whole(tone(rate, hertz), rate)[0, 1000:-1000]).max()
        assert level == pytest.approx(1.0, abs=0.05)


def test_equal_rates_pass_untouched() -> None:
    sound = sweeps(16_000, 0.1)
    assert np.array_equal(whole(sound, 16_000), sound)
