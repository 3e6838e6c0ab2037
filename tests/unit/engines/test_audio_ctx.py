from __future__ import annotations

import pytest

from app.engines.audio_ctx import FLOOR_FRAMES, FULL_CONTEXT, MARGIN_FRAMES, STEP_FRAMES, fitted_frames


def test_a_short_window_gets_the_floor() -> None:
    assert fitted_frames(0.5) == fitted_frames(1.0) == FLOOR_FRAMES


@pytest.mark.parametrize("duration_s", [3.0, 8.0, 9.95, 11.008, 15.0, 20.0, 22.9])
def test_a_window_gets_its_own_frames_and_the_margin_in_steps(duration_s: float) -> None:
    frames = fitted_frames(duration_s)
    assert 0 <= frames - (50 * duration_s + MARGIN_FRAMES) < STEP_FRAMES


def test_contexts_are_whole_blocks_or_everything() -> None:
    contexts = {fitted_frames(tenths / 10) for tenths in range(1, 320)}
    assert contexts == {256, 512, 768, 1024, 1280, FULL_CONTEXT}


def test_no_window_gets_more_than_everything() -> None:
    assert fitted_frames(28.0) == fitted_frames(30.0) == fitted_frames(300.0) == FULL_CONTEXT
