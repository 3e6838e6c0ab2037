"""How many interims another server is asked for: what it can take beside the finals, by its own times. Pure; no clock."""

from __future__ import annotations

NEWEST_WEIGHT = 0.2  # of the last request in the moving mean

INTERIM_SHARE = 0.5
"""Share of the server's work that interims may be: the rest is free for finals, which do not depend on them."""

PAUSE_S = 1.0
"""Without interims after a failure, so that a server that comes back has its finals first."""


class InterimPace:
    """Decides when the next interim may be sent. Times are seconds of any one clock."""

    def __init__(self, parallel: int) -> None:
        self.mean_s = 0.0
        """Moving mean of what a request takes; 0 before the first."""
        self._parallel = parallel
        self._most = max(1, int(parallel * INTERIM_SHARE))
        self._next_s = 0.0

    def wait_s(self, now_s: float, running: int) -> float | None:
        """Seconds until an interim may be sent while ``running`` others are under way. None: not before one has ended."""
        return None if running >= self._most else max(0.0, self._next_s - now_s)

    def sent(self, now_s: float) -> None:
        """An interim is on its way."""
        self._next_s = max(self._next_s, now_s + self.mean_s / (self._parallel * INTERIM_SHARE))

    def took(self, request_s: float) -> None:
        """A request was answered after ``request_s``."""
        self.mean_s += (request_s - self.mean_s) * (NEWEST_WEIGHT if self.mean_s else 1.0)

    def failed(self, now_s: float, wait_s: float = 0.0) -> None:
        """A request failed, or the server asked to be left alone for ``wait_s``."""
        self._next_s = max(self._next_s, now_s + max(PAUSE_S, wait_s))
