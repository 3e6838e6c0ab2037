"""What the features hear, on sounds of known pitch and shape."""

from __future__ import annotations

import numpy as np
import pytest

from app.diarization.features import COEFFICIENTS, DIMENSIONS, FRAME_SAMPLES, HOP_SAMPLES, frame_count, voice_features
from tests.support.clips import Samples, noise


def buzz(hertz: float, seconds: float = 0.5, tilt: float = 1.0) -> Samples:
    """A sound of many overtones, each weaker than the one before by ``tilt``."""
    t = np.arange(round(16_000 * seconds)) / 16_000
    overtones = range(1, int(7000 / hertz))
    return np.sum([np.sin(2 * np.pi * hertz * n * t + n) / n**tilt for n in overtones], axis=0).astype(np.float32) * 0.2


@pytest.mark.parametrize("hertz", [80.0, 110.0, 150.0, 210.0, 320.0])
def test_the_pitch_of_a_voice_is_found(hertz: float) -> None:
    features, voiced = voice_features(buzz(hertz))
    assert voiced.all()
    assert np.exp(features[:, -1]) == pytest.approx(hertz, rel=0.03)


def test_noise_is_not_voiced() -> None:
    _, voiced = voice_features(noise(1.0))
    assert voiced.mean() < 0.05


def test_loudness_changes_nothing() -> None:
    sound = buzz(120.0)
    loud, quiet = voice_features(sound)[0], voice_features(sound * 0.05)[0]
    assert np.allclose(loud, quiet, atol=0.05)


def test_the_shape_of_the_spectrum_tells_sounds_of_one_pitch_apart() -> None:
    dull, bright = voice_features(buzz(120.0, tilt=2.0))[0], voice_features(buzz(120.0, tilt=0.5))[0]
    assert abs(dull[:, 0].mean() - bright[:, 0].mean()) > 20


def test_a_frame_does_not_depend_on_what_is_around_it() -> None:
    sound = np.concatenate([buzz(100.0), noise(12.0), buzz(200.0)])  # more frames than go through at once
    features, _ = voice_features(sound)
    at = 600
    alone, _ = voice_features(sound[at * HOP_SAMPLES : at * HOP_SAMPLES + FRAME_SAMPLES])
    assert np.allclose(features[at], alone[0], atol=1e-3)


def test_digital_silence_is_finite_and_unvoiced() -> None:
    features, voiced = voice_features(np.zeros(4000, np.float32))
    assert np.isfinite(features).all()
    assert not voiced.any()


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (639, 0), (640, 1), (895, 1), (896, 2), (16_000, 61)])
def test_only_whole_frames_count(samples: int, frames: int) -> None:
    assert frame_count(samples) == frames
    features, voiced = voice_features(noise(1.0)[:samples])
    assert features.shape == (frames, DIMENSIONS) == (frames, COEFFICIENTS + 1)
    assert voiced.shape == (frames,)
