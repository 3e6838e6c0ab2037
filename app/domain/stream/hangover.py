"""What follows the last voiced window: stillness, or the rest of a word that the detector gave up too early."""

from __future__ import annotations

import numpy as np

from app.domain.audio import Pcm16k
from app.domain.stream.options import WINDOW_SAMPLES

RISE = 4.0
"""Times the power (6 dB) by which something new stands out. Steady noise varies by a tenth between windows; the burst of
a stop is far above the closure before it."""

STILL_POWER = 1e-6
"""Power below which nothing can be heard (-60 dB of full scale): after digital silence any noise would be a rise."""


def gets_louder(tail: Pcm16k, first: int) -> bool:
    """Whether a window after the ``first`` samples of ``tail``, shape ``(n,)``, is louder than those by ``RISE``.

    An unfinished window at the end does not count.
    """
    rest = tail[first : first + (len(tail) - first) // WINDOW_SAMPLES * WINDOW_SAMPLES]
    if not len(rest):
        return False
    powers = np.square(rest, dtype=np.float64).reshape(-1, WINDOW_SAMPLES).mean(axis=1)
    before = max(float(np.square(tail[:first], dtype=np.float64).mean()) if first else 0.0, STILL_POWER)
    return bool((powers > RISE * before).any())
