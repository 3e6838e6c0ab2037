"""How much of the encoder a window needs."""

from __future__ import annotations

import math

FULL_CONTEXT = 1500
"""Encoder frames of Whisper's 30 s window: 50 per second."""

FRAMES_PER_SECOND = 50
STEP_FRAMES = 256
"""Contexts are multiples of this, or all 1500. With flash attention whisper.cpp 1.8 rounds its key and value buffers up to
256 frames and attends to the rest unmasked: any other size mixes in what the decode before left there, which may be another
client's audio. Seen with 320, 384, 448, 576, 640, 704 and 832 frames (word times moved by up to 90 ms with the audio decoded
before), never with multiples of 256, with 1500, or without flash attention (self-test model, 2026-11-20)."""

MARGIN_FRAMES = 32
"""Frames beyond the audio's own. Measured with the self-test model on 109 pieces of 1.3 to 27 s (the speech clips, and the
two-minute one cut at its pauses into 1, 2, 4 and 8 sentences), 2026-11-20: pieces that came out in other words than with the
full context, word error rate, decode seconds in all (on a busy machine):

    full context                                  0 differ   0.5 %   32 s
    steps of 256, margin 0 / 64 / 128 / 256       0 differ   0.5 %   9.4 / 10.2 / 11.8 / 14.9 s
    the same with a floor of 512, margin 128      0 differ   0.5 %   16 s
    steps of 64, margin 64 / 128 / 256            2 / 4 / 1  0.7 / 1.3 / 0.7 %   (see above)
"""

FLOOR_FRAMES = 256
"""Frames at least, 5 s: 0.19 s at base dimensions, against 0.37 s with 512, which every short answer of a live speaker would
wait for. The 109 pieces above, and 72 pieces cut as a live stream cuts them, have the words of the full context with both.
Whisper's own weights learnt on 1500 frames and are known to loop far below: such results are found (``domain/guards.py``),
and decoded again with all of it."""


def fitted_frames(duration_s: float, margin_frames: int = MARGIN_FRAMES) -> int:
    """Encoder frames for ``duration_s`` seconds of audio: its own and a margin, rounded up, at least the floor."""
    needed = math.ceil(FRAMES_PER_SECOND * duration_s) + margin_frames
    rounded = -(-needed // STEP_FRAMES) * STEP_FRAMES
    return min(FULL_CONTEXT, max(FLOOR_FRAMES, rounded))
