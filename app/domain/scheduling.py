"""Whose decode is next: classes by urgency, sessions in turn inside a class, old batch work lifted. Pure; no clock."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.domain.ports import JobClass

AGEING_S = 5.0
"""Seconds after which a chunk of a long recording takes turns with the short recordings, which could else keep it waiting
for ever. It never overtakes live speech."""

INTERIM_DEADLINE_S = 1.5
"""Seconds after which an interim is not worth decoding any more: newer audio has come, and finals do not depend on it."""

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Ticket(Generic[T]):
    """One waiting job. ``since_s`` is the time it was queued; ``rank`` the class it competes in, which ageing may raise."""

    job: T
    session: int
    rank: JobClass
    since_s: float


class Schedule(Generic[T]):
    """Waiting jobs in the order in which workers should take them. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._ranks: dict[JobClass, OrderedDict[int, deque[Ticket[T]]]] = {rank: OrderedDict() for rank in JobClass}

    def __len__(self) -> int:
        return sum(len(queue) for sessions in self._ranks.values() for queue in sessions.values())

    def add(self, job: T, session: int, job_class: JobClass, now_s: float) -> Ticket[T]:
        """Queue a job behind those of its session; a session new to the class comes after the others."""
        ticket = Ticket(job, session, job_class, now_s)
        self._ranks[job_class].setdefault(session, deque()).append(ticket)
        return ticket

    def put_back(self, ticket: Ticket[T]) -> None:
        """Queue a job again that a worker lost: it is next in its class."""
        sessions = self._ranks[ticket.rank]
        sessions.setdefault(ticket.session, deque()).appendleft(ticket)
        sessions.move_to_end(ticket.session, last=False)

    def remove(self, ticket: Ticket[T]) -> bool:
        """Forget a job; False if it does not wait (any more)."""
        sessions = self._ranks[ticket.rank]
        queue = sessions.get(ticket.session)
        if queue is None or ticket not in queue:
            return False
        queue.remove(ticket)
        if not queue:
            del sessions[ticket.session]
        return True

    def take(self, now_s: float) -> Ticket[T] | None:
        """The next job, which no longer waits; None if there is none."""
        self._age(now_s)
        for sessions in self._ranks.values():
            if sessions:
                session, queue = sessions.popitem(last=False)
                ticket = queue.popleft()
                if queue:
                    sessions[session] = queue
                return ticket
        return None

    def expired(self, now_s: float) -> list[Ticket[T]]:
        """Interims that have waited too long. They no longer wait."""
        interims = self._ranks[JobClass.INTERIM]
        old = [ticket for queue in interims.values() for ticket in queue if now_s - ticket.since_s >= INTERIM_DEADLINE_S]
        for ticket in old:
            self.remove(ticket)
        return old

    def urgent(self) -> int:
        """How many finals of live streams wait."""
        return sum(len(queue) for rank in (JobClass.FINALIZE, JobClass.FINAL) for queue in self._ranks[rank].values())

    def drain(self) -> list[Ticket[T]]:
        """All waiting jobs; none waits afterwards."""
        waiting = [ticket for sessions in self._ranks.values() for queue in sessions.values() for ticket in queue]
        for sessions in self._ranks.values():
            sessions.clear()
        return waiting

    def _age(self, now_s: float) -> None:
        slow = self._ranks[JobClass.LONG_RECORDING]
        for session, queue in list(slow.items()):
            while queue and now_s - queue[0].since_s >= AGEING_S:
                ticket = queue.popleft()
                ticket.rank = JobClass.SHORT_RECORDING
                self._ranks[JobClass.SHORT_RECORDING].setdefault(session, deque()).append(ticket)
            if not queue:
                del slow[session]


def first_to_give_way(running: Iterable[Ticket[T]]) -> Ticket[T] | None:
    """Of the jobs that run, the one to stop when a final waits and no worker is free: the oldest interim, if any."""
    interims = [ticket for ticket in running if ticket.rank is JobClass.INTERIM]
    return min(interims, key=lambda ticket: ticket.since_s, default=None)
