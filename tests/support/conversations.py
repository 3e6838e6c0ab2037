"""Clips in which it is known who speaks when, and their sound with its speech probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import soundfile
from numpy.typing import NDArray

from app.audio.vad import load_vad
from app.domain.speakers import SpeakerTurn
from tests.support.clips import AUDIO, Samples

Probabilities = NDArray[np.float32]

Turns = tuple[tuple[float, float, int], ...]
"""Start and end in seconds, and the speaker, numbered as they first speak."""


@dataclass(frozen=True)
class Conversation:
    """``pcm`` ends with a whole window."""

    pcm: Samples
    probabilities: Probabilities
    turns: Turns

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 16_000


DIALOGUE: Turns = (
    (0.3, 1.52, 0), (2.22, 3.33, 1), (4.03, 5.18, 0), (5.88, 6.91, 1), (7.61, 8.77, 0), (9.47, 10.508, 1),
)  # fmt: skip
THREE_VOICES: Turns = (
    (0.3, 1.3, 0), (1.55, 2.53, 0), (2.98, 4.04, 1), (4.29, 6.53, 1), (6.98, 8.4, 2), (8.65, 10.3, 2), (10.75, 12.02, 0),
    (12.47, 13.47, 2), (13.92, 15.37, 1), (15.82, 17.84, 0), (18.29, 19.22, 2), (19.67, 20.69, 1), (21.14, 22.16, 2),
    (22.61, 23.77, 0),
)  # fmt: skip

_TURNS = {"dialogue-two-speakers.wav": DIALOGUE, "three-voices.ogg": THREE_VOICES}


@cache
def conversation(name: str) -> Conversation:
    """A clip of ``tests/audio``. Without known turns it has none."""
    samples, rate = soundfile.read(AUDIO / name, dtype="float32")
    assert rate == 16_000
    pcm = np.concatenate([samples, np.zeros(-len(samples) % 512, np.float32)])
    return Conversation(pcm, load_vad().stream().feed(pcm), _TURNS.get(name, ()))


def who_speaks(turns: tuple[SpeakerTurn, ...], at_s: float) -> int | None:
    """The speaker of the turn around this moment."""
    return next((turn.speaker for turn in turns if turn.start_s <= at_s < turn.end_s), None)


def share_right(found: tuple[SpeakerTurn, ...], said: Turns) -> float:
    """How much of what is said is given to the right speaker, moment by moment, labels as they are."""
    moments = [(at, speaker) for start, end, speaker in said for at in np.arange(start, end, 0.02)]
    return sum(who_speaks(found, float(at)) == speaker for at, speaker in moments) / len(moments)
