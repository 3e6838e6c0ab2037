"""How many threads a decode gets: its worker's own share, and what idle workers leave. Pure.

Two workers of one thread do more than one of two: a decode's threads wait for each other at every step. But a
decode that has the machine to itself is sooner done with all of it. So a worker that is idle lends its cores.
"""

from __future__ import annotations

from dataclasses import dataclass

FINAL_THREADS = 2
"""Threads that a final of a live stream gets at least where there are as many, although interims have to be stopped for it:
somebody waits for it, and with one thread instead of two it takes half as long again."""


@dataclass(frozen=True, slots=True)
class CoreShares:
    """``threads`` is the share of each of ``workers`` when all work; ``most`` the threads a single decode may use."""

    workers: int
    threads: int
    most: int

    @property
    def total(self) -> int:
        """Threads that may work at a time."""
        return self.workers * self.threads

    def for_decode(self, used: int, starting: int = 1) -> int:
        """Threads for one of ``starting`` decodes that begin while others use ``used``; never less than a worker's share."""
        return max(self.threads, min(self.most, (self.total - used) // max(1, starting)))

    def may_start(self, used: int, *, urgent: bool) -> bool:
        """Whether a decode may begin beside others that use ``used``: urgent ones always, the rest once a share is free."""
        return urgent or used + self.threads <= self.total

    def lacks(self, finals: int, used: int, lasting: int) -> bool:
        """Whether ``finals`` that wait should get more than ``used`` leaves them, of which ``lasting`` cannot be stopped."""
        wanted = max(self.threads, min(self.most, FINAL_THREADS)) * min(finals, self.workers)
        return self.total - used < min(wanted, self.total - lasting)
