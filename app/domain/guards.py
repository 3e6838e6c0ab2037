"""Does a hypothesis look wrong? Signs of a decoder that loops, guesses or repeats its prompt. Pure."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from app.domain.transcript import Segment, Word

MAX_COMPRESSION_RATIO = 2.4
"""OpenAI's limit for Whisper: text that zlib shrinks further repeats itself."""

MIN_COMPRESSIBLE_BYTES = 80
"""Shorter texts say nothing by their ratio: ten spoken digits reach 2.4 easily."""

MIN_AVG_LOGPROB = -1.0
"""OpenAI's limit for Whisper: below it, decode again."""

HOPELESS_AVG_LOGPROB = -1.5
"""Below it even after a second decode, the text is an invention."""

MAX_WORDS_PER_S = 7.0
MAX_CHARACTERS_PER_S = 40.0
MIN_WORDS_FOR_RATE = 8
MIN_ECHO_WORDS = 3

# Copies of a phrase, by its length in words, that raise a doubt and that are cut. People do say "five five five" and "no no
# no no"; a looping decoder goes on until its token budget is spent. A doubt costs one more decode, a cut costs words.
_REPEATS_TO_DOUBT = {1: 7, 2: 4}
_REPEATS_TO_CUT = {1: 12, 2: 7}
_LONGER_TO_DOUBT = 3
_LONGER_TO_CUT = 5
_LONGEST_LOOP_WORDS = 12
_PLAIN = re.compile(r"[\W_]+")


class Doubt(str, Enum):
    """Why a hypothesis should not be believed at once."""

    REPEATS = "repeats"
    COMPRESSION = "compression"
    LOW_PROBABILITY = "low_probability"
    TOO_FAST = "too_fast"
    PROMPT_ECHO = "prompt_echo"


def find_doubts(segments: Sequence[Segment], duration_s: float, prompt: str = "") -> tuple[Doubt, ...]:
    """Every sign that ``segments``, decoded from ``duration_s`` seconds with ``prompt``, are wrong. Silence has none."""
    words = [word for segment in segments for word in segment.words]
    if not words:
        return ()
    plain = [_plain(word.text) for word in words]
    text = " ".join(segment.text for segment in segments)
    checks = {
        Doubt.REPEATS: _find_loop(plain, _REPEATS_TO_DOUBT, _LONGER_TO_DOUBT) is not None,
        Doubt.COMPRESSION: compression_ratio(text) > MAX_COMPRESSION_RATIO,
        Doubt.LOW_PROBABILITY: mean_logprob(segments) < MIN_AVG_LOGPROB,
        Doubt.TOO_FAST: len(words) >= MIN_WORDS_FOR_RATE and _too_fast(words, text, duration_s),
        Doubt.PROMPT_ECHO: _echoes(plain, prompt),
    }
    return tuple(doubt for doubt, found in checks.items() if found)


def compression_ratio(text: str) -> float:
    """Bytes of ``text`` over bytes of its zlib form; 0 for texts too short to tell."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if len(raw) >= MIN_COMPRESSIBLE_BYTES else 0.0


def mean_logprob(segments: Sequence[Segment]) -> float:
    """Mean log-probability of all text tokens."""
    tokens = sum(len(segment.tokens) for segment in segments)
    return sum(segment.avg_logprob * len(segment.tokens) for segment in segments) / max(1, tokens)


def drop_hopeless(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Without the segments whose mean log-probability says that nothing was heard."""
    return tuple(segment for segment in segments if segment.avg_logprob >= HOPELESS_AVG_LOGPROB)


def cut_loops(segments: Sequence[Segment], separator: str = " ") -> tuple[Segment, ...]:
    """Segments up to the end of the first copy of a phrase said over and over; unchanged where nothing loops.

    What follows a loop belongs to it: a decoder that has begun to loop does not hear the audio any more.
    """
    plain = [_plain(word.text) for segment in segments for word in segment.words]
    loop = _find_loop(plain, _REPEATS_TO_CUT, _LONGER_TO_CUT)
    if loop is None:
        return tuple(segments)
    left = sum(loop)
    kept: list[Segment] = []
    for segment in segments:
        words = segment.words[:left]
        left -= len(words)
        if len(words) == len(segment.words):
            kept.append(segment)
        elif words:
            text = separator.join(word.text for word in words)
            share = math.ceil(len(segment.tokens) * len(words) / len(segment.words))
            tokens, scores = segment.tokens[:share], segment.scores[:share]
            kept.append(replace(segment, text=text, words=words, end_s=words[-1].end_s, tokens=tokens, scores=scores))
        if not left:
            break
    return tuple(kept)


def copies_to_cut(words: int) -> int:
    """Copies, back to back, of a phrase of so many words that ``cut_loops`` does not let pass."""
    return _REPEATS_TO_CUT.get(words, _LONGER_TO_CUT)


def _find_loop(plain: Sequence[str], limits: dict[int, int], longer: int) -> tuple[int, int] | None:
    """Position and length, in words, of the first phrase repeated back to back at least as often as its limit."""
    for start in range(len(plain)):
        for length in range(1, min(_LONGEST_LOOP_WORDS, (len(plain) - start) // 2) + 1):
            phrase = plain[start : start + length]
            copies = 1
            while plain[start + copies * length : start + (copies + 1) * length] == phrase:
                copies += 1
            if copies >= limits.get(length, longer):
                return start, length
    return None


def _too_fast(words: Sequence[Word], text: str, duration_s: float) -> bool:
    return len(words) > MAX_WORDS_PER_S * duration_s or len(text) > MAX_CHARACTERS_PER_S * duration_s


def _echoes(plain: Sequence[str], prompt: str) -> bool:
    """True if the whole text is a stretch of the prompt."""
    said = [word for word in plain if word]
    given = [word for word in (_plain(part) for part in prompt.split()) if word]
    return len(said) >= MIN_ECHO_WORDS and any(
        given[start : start + len(said)] == said for start in range(len(given) - len(said) + 1)
    )


def _plain(text: str) -> str:
    return _PLAIN.sub("", text).lower()
