"""Transcripts written as text: ``talk("Hello world. How are you?")`` gives words of half a second each."""

from __future__ import annotations

from app.domain.transcript import Channel, LanguageGuess, ModelInfo, RequestWarning, Segment, Transcript, Word

MODEL = ModelInfo("selftest", "6f1b35a6-0d0e-5b3a-9a46-5d3c2f0b7a11", "2026-11-20.0")


def words(text: str, start_s: float = 0.0, word_s: float = 0.5, confidence: float = 0.9) -> tuple[Word, ...]:
    """The words of ``text``, one after the other without pauses. ``|`` stands for a second of silence."""
    spoken: list[Word] = []
    for part in text.split():
        if part == "|":
            start_s += 1.0
            continue
        spoken.append(Word(part, start_s, start_s + word_s, confidence))
        start_s += word_s
    return tuple(spoken)


def segment(spoken: tuple[Word, ...]) -> Segment:
    """One segment over ``spoken``, which must not be empty."""
    text = " ".join(word.text for word in spoken)
    return Segment(text, spoken[0].start_s, spoken[-1].end_s, spoken, tuple(range(len(spoken))), -0.1)


def channel(text: str, language: str = "en", detected: LanguageGuess | None = None) -> Channel:
    """A channel of one segment, or of none where ``text`` is empty."""
    spoken = words(text)
    return Channel((segment(spoken),) if spoken else (), language, detected)


def talk(*channels: str, duration_s: float = 20.0, warnings: tuple[RequestWarning, ...] = ()) -> Transcript:
    """A transcript with one English channel for each text."""
    return Transcript(tuple(channel(text) for text in channels), duration_s, MODEL, warnings)
