from __future__ import annotations

import pytest

from app.domain.chunking import ChunkingOptions, chunking_for
from app.engines.audio_ctx import (
    FLASH_STEP_FRAMES,
    FLOOR_FRAMES,
    FRAMES_PER_SECOND,
    FULL_CONTEXT,
    MARGIN_FRAMES,
    STEP_FRAMES,
    fitted_frames,
)

LENGTHS_S = [3.2, 8.0, 9.95, 11.008, 15.0, 20.0, 22.9]


def test_a_short_window_gets_the_floor() -> None:
    assert fitted_frames(0.5) == fitted_frames(1.0) == FLOOR_FRAMES
    assert fitted_frames(0.5, step_frames=FLASH_STEP_FRAMES) == FLASH_STEP_FRAMES


@pytest.mark.parametrize("duration_s", LENGTHS_S)
@pytest.mark.parametrize("step_frames", [STEP_FRAMES, FLASH_STEP_FRAMES])
def test_a_window_gets_its_own_frames_and_the_margin_in_steps(duration_s: float, step_frames: int) -> None:
    frames = fitted_frames(duration_s, step_frames=step_frames)
    assert 0 <= frames - (50 * duration_s + MARGIN_FRAMES) < step_frames


def test_contexts_with_flash_attention_are_whole_blocks_or_everything() -> None:
    contexts = {fitted_frames(tenths / 10, step_frames=FLASH_STEP_FRAMES) for tenths in range(1, 320)}
    assert contexts == {256, 512, 768, 1024, 1280, FULL_CONTEXT}


def test_no_window_gets_more_than_everything() -> None:
    assert fitted_frames(29.5) == fitted_frames(30.0) == fitted_frames(300.0) == FULL_CONTEXT


@pytest.mark.parametrize("step_frames", [STEP_FRAMES, FLASH_STEP_FRAMES])
def test_chunks_are_packed_for_the_steps_of_flash_attention_and_the_margin(step_frames: int) -> None:
    packing = chunking_for(step_frames / FRAMES_PER_SECOND).packing
    assert packing is not None
    assert packing.step_s * FRAMES_PER_SECOND == FLASH_STEP_FRAMES
    assert packing.margin_s * FRAMES_PER_SECOND == MARGIN_FRAMES


def test_chunks_are_as_long_as_can_be_for_an_engine_that_is_not_fitted() -> None:
    assert chunking_for(0.0) == ChunkingOptions()
