"""Conversations made of speech synthesisers, with who speaks when: what benchmarks of diarization are scored on.

``espeak`` voices differ in the form of one synthetic throat and in pitch; ``flite`` voices were made from recordings of four
people. Both programs must be installed (Debian: espeak-ng, flite).
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Pcm = NDArray[np.float32]

RATE = 16_000
SENTENCES = (
    "I really think that we should leave before the rain begins.", "What did the doctor say about your knee?",
    "My brother moved to a small village near the coast last summer.", "No.", "Yes, of course.", "Maybe.", "Are you sure?",
    "We could ask whether the room is free on Thursday afternoon.", "That is not what I remember.", "Thank you very much.",
    "The price went up again, so I bought only half of it.", "Could you send me the report when it is ready?",
    "I have never seen so many birds in one place.", "Let us start with the budget and then talk about the building.",
    "He told me a long story about his first job in a bakery.", "Nobody knew where the keys were, and the door was locked.",
    "It takes about twenty minutes by bus, but the bus is often late.", "I would rather have tea.",
    "Please speak a little louder, the line is bad today.", "The children painted the whole fence blue and yellow.",
)  # fmt: skip
VARIANTS = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "Andy", "Annie", "belinda", "boris",
    "caleb", "linda", "Michael", "steph",
)  # fmt: skip
RECORDED = ("slt", "rms", "awb", "kal16")
PAUSES_S = (0.05, 0.15, 0.3, 0.5, 0.8, 1.2)


@dataclass(frozen=True)
class Conversation:
    """``pcm`` ends with a whole window of 512 samples; ``turns`` are (start, end, speaker), in seconds."""

    pcm: Pcm
    turns: tuple[tuple[float, float, int], ...]

    @property
    def voices(self) -> int:
        return len({speaker for _, _, speaker in self.turns})


def converse(seed: int, voices: int, seconds: float, synthesiser: str, snr_db: float | None = None) -> Conversation:
    """``voices`` people, one to three sentences each in turn, pauses of ``PAUSES_S`` after each, levels up to 4 dB apart."""
    rng = np.random.default_rng(seed)
    people = _people(rng, voices, synthesiser)
    gains = 10 ** (rng.uniform(-4, 4, voices) / 20)
    pieces: list[Pcm] = [np.zeros(RATE // 3, np.float32)]
    at, who = len(pieces[0]), -1
    turns: list[tuple[float, float, int]] = []
    while at < seconds * RATE:
        others = [person for person in range(voices) if person != who]
        who = int(rng.choice(others)) if others else 0
        for _ in range(int(rng.choice([1, 1, 2, 3]))):
            sound = np.asarray(_said(str(rng.choice(SENTENCES)), people[who]) * gains[who], np.float32)
            turns.append((at / RATE, (at + len(sound)) / RATE, who))
            pause = np.zeros(int(float(rng.choice(PAUSES_S)) * RATE), np.float32)
            pieces += [sound, pause]
            at += len(sound) + len(pause)
    pcm = np.concatenate([*pieces, np.zeros(-at % 512, np.float32)])
    level = 1e-4 if snr_db is None else float(np.sqrt(np.mean(pcm**2))) * 10 ** (-snr_db / 20)
    noisy = pcm + level * rng.standard_normal(len(pcm)).astype(np.float32)
    return Conversation(np.asarray(noisy, np.float32), tuple(turns))


def by_telephone(conversation: Conversation) -> Conversation:
    """The same as a telephone carries it: 8 kHz."""
    narrow = soxr.resample(soxr.resample(conversation.pcm, RATE, 8000), 8000, RATE).astype(np.float32)
    length = len(conversation.pcm)
    return Conversation(np.pad(narrow, (0, max(0, length - len(narrow))))[:length], conversation.turns)


def _people(rng: np.random.Generator, voices: int, synthesiser: str) -> list[list[str]]:
    """The command that speaks for each."""
    if synthesiser == "flite":
        return [["flite", "-voice", str(name)] for name in rng.permutation(RECORDED)[:voices]]
    return [
        ["espeak-ng", "-v", f"en-us+{name}", "-s", str(rng.integers(140, 190)), "-p", str(rng.integers(30, 70))]
        for name in rng.permutation(VARIANTS)[:voices]
    ]


def _said(text: str, command: list[str]) -> NDArray[Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        how = ["-t", text, "-o", str(file)] if command[0] == "flite" else ["-w", str(file), text]
        subprocess.run([*command, *how], check=True)
        sound, rate = soundfile.read(file, dtype="float32")
    sound = soxr.resample(sound, rate, RATE) if rate != RATE else sound
    loud = np.abs(sound) > 0.01 * np.abs(sound).max()
    first, last = int(loud.argmax()), len(loud) - int(loud[::-1].argmax())
    return np.asarray(sound[first:last] / np.abs(sound).max() * 0.6)
