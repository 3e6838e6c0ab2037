"""Words -> captions: which words are on the screen together, from when to when, on which lines.

A new cue starts at another speaker, after a pause and after a dictated line end. Between those, the cheapest division is
taken: few cues, of even length, that end with a sentence or at least with a clause and stand long enough to be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.domain.text.cue_lines import LineFill, Piece, break_lines, pieces
from app.domain.transcript import Word

GAP_S = 0.8
"""Silence, in seconds, that starts a new cue: as long as the pause that splits utterances."""

MIN_CUE_S = 5 / 6
"""Seconds a cue stays unless the next one comes: 20 frames of film, the usual minimum for subtitles."""

_INNER_SENTENCE_END = 4.0
_TOO_SHORT = 6.0
_CUE = 1.0
_END_IN_CLAUSE = 1.0
_END_OF_CLAUSE = 0.5
"""What a cue costs, what it costs that a sentence ends inside it, that it is gone before it can be read, and that it ends
within a sentence. Only the order of the sums matters: short sentences in a hurry share a cue, all others have their own."""


@dataclass(frozen=True, slots=True)
class CueLimits:
    """Most that a cue may hold: ``lines`` of ``line_length`` columns, ``duration_s`` seconds. As usual for subtitles."""

    line_length: int = 42
    lines: int = 2
    duration_s: float = 7.0


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption. Whole milliseconds from the start of the recording, ``start_ms < end_ms``; lines are never empty.

    ``speaker`` is the one of all its words.
    """

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    speaker: int | None = None

    @property
    def text(self) -> str:
        """Its lines, as they stand on the screen."""
        return "\n".join(self.lines)


def build_cues(
    words: Sequence[Word], language: str, limits: CueLimits | None = None, until_s: float | None = None
) -> list[Cue]:
    """The captions of one channel, in order, never two at a time. Words come in the order they are to be read in.

    ``until_s``: the end of the recording, in seconds, beyond which no cue is held longer than its words.
    """
    limits = limits or CueLimits()
    parts = pieces(words, language, limits.line_length)
    groups = [group for run in _runs(parts) for group in _divide(run, limits)]
    starts = _strictly_rising([_milliseconds(group[0].start_s) for group in groups])
    cues = []
    for index, (group, start_ms) in enumerate(zip(groups, starts, strict=True)):
        end_ms = max(_milliseconds(piece.end_s) for piece in group)
        held_ms = start_ms + _milliseconds(MIN_CUE_S)
        if until_s is not None:
            held_ms = min(held_ms, _milliseconds(until_s))
        end_ms = min(max(end_ms, held_ms), start_ms + _milliseconds(limits.duration_s))
        if index + 1 < len(starts):
            end_ms = min(end_ms, starts[index + 1])
        lines = break_lines(group, limits.line_length)
        cues.append(Cue(start_ms, max(end_ms, start_ms + 1), lines, group[0].speaker))
    return cues


@dataclass(frozen=True, slots=True)
class _Run:
    """Pieces between two places where a new cue must start. ``next_s``: when the following run begins; None: never."""

    parts: Sequence[Piece]
    next_s: float | None


def _runs(parts: Sequence[Piece]) -> Iterator[_Run]:
    begin = 0
    for index in range(1, len(parts) + 1):
        if index == len(parts):
            yield _Run(parts[begin:], None)
        elif _must_break(parts[index - 1], parts[index]):
            yield _Run(parts[begin:index], parts[index].start_s)
            begin = index


def _must_break(last: Piece, following: Piece) -> bool:
    return last.ends_line or following.speaker != last.speaker or following.start_s - last.end_s > GAP_S


def _divide(run: _Run, limits: CueLimits) -> list[Sequence[Piece]]:
    """The cheapest way to cut a run into cues, found from its end: ``best[i]`` is the cost of the pieces from ``i`` on."""
    parts = run.parts
    best = [float("inf")] * len(parts) + [0.0]
    cuts = [0] * len(parts)
    for begin in range(len(parts) - 1, -1, -1):
        for end, cost in _candidates(run, begin, limits):
            if cost + best[end] < best[begin]:
                best[begin], cuts[begin] = cost + best[end], end
    groups = []
    begin = 0
    while begin < len(parts):
        groups.append(parts[begin : cuts[begin]])
        begin = cuts[begin]
    return groups


def _candidates(run: _Run, begin: int, limits: CueLimits) -> Iterator[tuple[int, float]]:
    """Each cue that may start at ``begin``: where it ends, and what it costs. One piece alone is always a cue."""
    parts = run.parts
    room = limits.lines * limits.line_length
    fill = LineFill(limits.line_length)
    width = 0
    inner = 0.0
    for index in range(begin, len(parts)):
        piece = parts[index]
        fill.add(piece)
        width += piece.width + len(piece.space)
        if index > begin:
            inner += _INNER_SENTENCE_END if parts[index - 1].ends_sentence else 0.0
            if fill.lines > limits.lines or piece.end_s - parts[begin].start_s > limits.duration_s:
                return
        next_s = parts[index + 1].start_s if index + 1 < len(parts) else run.next_s
        emptiness = max(0.0, 1.0 - width / room)
        cost = _CUE + emptiness * emptiness + inner
        if next_s is not None and next_s - parts[begin].start_s < MIN_CUE_S:
            cost += _TOO_SHORT
        if index + 1 < len(parts) and not piece.ends_sentence:
            cost += _END_OF_CLAUSE if piece.ends_clause else _END_IN_CLAUSE
        yield index + 1, cost


def _strictly_rising(starts: list[int]) -> list[int]:
    """Words with the same or a wrong start would give cues that are never seen: each starts a millisecond later at least."""
    risen: list[int] = []
    for start in starts:
        risen.append(max(start, risen[-1] + 1) if risen else max(0, start))
    return risen


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
