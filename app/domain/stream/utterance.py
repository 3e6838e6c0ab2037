"""Word gaps -> utterance end. Knows final words and how long it has been quiet; nothing of endpoints."""

from __future__ import annotations

from itertools import pairwise

from app.domain.transcript import Word

_SLACK_S = 1e-6
"""Positions come from samples and times from sums: equal ones may differ in the last bits."""


class UtteranceGaps:
    """One channel's last final word, and whether the pause after it has been reported. ``gap_s`` None: never report."""

    def __init__(self, gap_s: float | None) -> None:
        self._gap_s = gap_s
        self._last_end_s: float | None = None

    def words(self, words: tuple[Word, ...]) -> list[float]:
        """Take a final's words (after its Results): the ends of those that a gap follows inside this final."""
        if self._gap_s is None or not words:
            return []
        self._last_end_s = words[-1].end_s
        return [left.end_s for left, right in pairwise(words) if right.start_s - left.end_s >= self._gap_s - _SLACK_S]

    def quiet_until(self, position_s: float) -> float | None:
        """No word follows before ``position_s``: the end of the last word if that makes a gap, once per pause."""
        if self._gap_s is None or self._last_end_s is None or position_s - self._last_end_s < self._gap_s - _SLACK_S:
            return None
        ended_s, self._last_end_s = self._last_end_s, None
        return ended_s
