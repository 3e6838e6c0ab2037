"""How much of the encoder a window needs."""

from __future__ import annotations

import math

FULL_CONTEXT = 1500
"""Encoder frames of Whisper's 30 s window: 50 per second."""

FRAMES_PER_SECOND = 50
FLASH_STEP_FRAMES = 256
"""With flash attention contexts are multiples of this, or all 1500: whisper.cpp 1.8 then rounds its key and value buffers up
to 256 frames and attends to the rest unmasked. Any other size mixes in what the decode before left there, which may be
another client's audio. Seen with 320, 384, 448, 576, 640, 704 and 832 frames (word times moved by up to 90 ms with the audio
decoded before), never with multiples of 256, with 1500, or without flash attention (self-test model, 2026-11-20)."""

STEP_FRAMES = 16
"""The same without flash attention, where nothing shines through and every frame costs: the encoder's time is in proportion
to them from 160 to 320 frames, with no frames that suit its kernels better (decision 21)."""

MARGIN_FRAMES = 32
"""Frames beyond the audio's own, 0.64 s. Margins of 0 to 64 make no difference to words, on all clips and on 200 synthetic
sentences, alone and in talks; with 0 there was one second decode, else none (``benchmarks/results/margins-words.json``)."""

FLOOR_FRAMES = 192
"""Frames at least, 3.8 s. Whisper's own weights learnt on 1500 frames and are known to loop far below: such results are
found (``domain/guards.py``), and decoded again with all of it."""


def fitted_frames(duration_s: float, margin_frames: int = MARGIN_FRAMES, step_frames: int = STEP_FRAMES) -> int:
    """Encoder frames for ``duration_s`` seconds of audio: its own and a margin, rounded up to steps, at least the floor."""
    needed = max(FLOOR_FRAMES, math.ceil(FRAMES_PER_SECOND * duration_s) + margin_frames)
    return min(FULL_CONTEXT, -(-needed // step_frames) * step_frames)
