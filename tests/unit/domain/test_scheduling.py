from __future__ import annotations

from app.domain.ports import JobClass
from app.domain.scheduling import AGEING_S, INTERIM_DEADLINE_S, Schedule, first_to_give_way

FINAL, SHORT, LONG, INTERIM = JobClass.FINAL, JobClass.SHORT_RECORDING, JobClass.LONG_RECORDING, JobClass.INTERIM


def drain(schedule: Schedule[str], now_s: float = 0.0) -> list[str]:
    taken = []
    while (ticket := schedule.take(now_s)) is not None:
        taken.append(ticket.job)
    return taken


def test_more_urgent_classes_come_first() -> None:
    schedule: Schedule[str] = Schedule()
    for job_class in (INTERIM, LONG, SHORT, FINAL, JobClass.FINALIZE):
        schedule.add(job_class.name, 1, job_class, 0.0)
    assert drain(schedule) == ["FINALIZE", "FINAL", "SHORT_RECORDING", "LONG_RECORDING", "INTERIM"]


def test_sessions_of_a_class_take_turns() -> None:
    schedule: Schedule[str] = Schedule()
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        schedule.add(name, ord(name[0]), LONG, 0.0)
    assert drain(schedule) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_session_that_comes_back_waits_for_its_turn() -> None:
    schedule: Schedule[str] = Schedule()
    for name in ("a1", "a2", "b1"):
        schedule.add(name, ord(name[0]), SHORT, 0.0)
    assert schedule.take(0.0) is not None
    schedule.add("a3", ord("a"), SHORT, 0.0)
    assert drain(schedule) == ["b1", "a2", "a3"]


def test_old_chunks_of_long_recordings_take_turns_with_short_ones() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("long", 1, LONG, 0.0)
    for number in range(3):
        schedule.add(f"short{number}", 10 + number, SHORT, 1.0)
    first = schedule.take(AGEING_S - 0.1)
    assert first is not None
    assert first.job == "short0"
    schedule.add("late", 20, SHORT, AGEING_S - 0.1)
    assert schedule.take(AGEING_S) is not None  # this take lifts the long one, behind those that wait already
    schedule.add("later", 21, SHORT, AGEING_S)
    assert drain(schedule, AGEING_S) == ["short2", "late", "long", "later"]


def test_a_flood_of_short_recordings_cannot_starve_a_long_one() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("long", 1, LONG, 0.0)
    taken = []
    for number in range(20):
        schedule.add(f"short{number}", 100 + number, SHORT, float(number))
        ticket = schedule.take(float(number))
        assert ticket is not None
        taken.append(ticket.job)
    assert "long" in taken


def test_ageing_never_overtakes_live_speech() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("long", 1, LONG, 0.0)
    schedule.add("final", 2, FINAL, 1000.0)
    assert drain(schedule, 1000.0) == ["final", "long"]


def test_a_lost_job_is_next_in_its_class() -> None:
    schedule: Schedule[str] = Schedule()
    lost = schedule.add("lost", 1, SHORT, 0.0)
    schedule.add("other", 2, SHORT, 0.0)
    assert schedule.take(0.0) is lost
    schedule.put_back(lost)
    schedule.add("urgent", 3, FINAL, 0.0)
    assert drain(schedule) == ["urgent", "lost", "other"]


def test_a_removed_job_is_never_taken() -> None:
    schedule: Schedule[str] = Schedule()
    first = schedule.add("first", 1, SHORT, 0.0)
    schedule.add("second", 1, SHORT, 0.0)
    assert schedule.remove(first)
    assert not schedule.remove(first)
    assert len(schedule) == 1
    assert drain(schedule) == ["second"]
    assert len(schedule) == 0


def test_a_lifted_job_can_still_be_removed() -> None:
    schedule: Schedule[str] = Schedule()
    lifted = schedule.add("long", 1, LONG, 0.0)
    schedule.add("final", 2, FINAL, 0.0)
    assert schedule.take(AGEING_S) is not None
    assert schedule.remove(lifted)
    assert drain(schedule) == []


def test_drain_empties_it() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 1, SHORT, 0.0)
    schedule.add("b", 1, INTERIM, 0.0)
    assert [ticket.job for ticket in schedule.drain()] == ["a", "b"]
    assert len(schedule) == 0
    assert schedule.take(0.0) is None


def test_interims_that_waited_too_long_are_dropped() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("old", 1, INTERIM, 0.0)
    schedule.add("young", 2, INTERIM, 0.1)
    schedule.add("final", 3, FINAL, 0.0)
    assert schedule.expired(INTERIM_DEADLINE_S - 0.01) == []
    assert [ticket.job for ticket in schedule.expired(INTERIM_DEADLINE_S)] == ["old"]
    assert schedule.expired(INTERIM_DEADLINE_S) == []
    assert drain(schedule, INTERIM_DEADLINE_S) == ["final", "young"]


def test_only_finals_of_live_streams_are_urgent() -> None:
    schedule: Schedule[str] = Schedule()
    for job_class in JobClass:
        schedule.add(job_class.name, 1, job_class, 0.0)
    assert schedule.urgent() == 2


def test_the_oldest_interim_gives_way_and_nothing_else() -> None:
    schedule: Schedule[str] = Schedule()
    final = schedule.add("final", 1, FINAL, 0.0)
    long = schedule.add("long", 2, LONG, 0.0)
    late, early = schedule.add("late", 3, INTERIM, 2.0), schedule.add("early", 4, INTERIM, 1.0)
    assert first_to_give_way([final, late, early, long]) is early
    assert first_to_give_way([final, long]) is None
