"""Jobs in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Update,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from app.domain.jobs import FINISHED, UNDELIVERABLE, Callback, Job, JobLimits, JobState, Outcome
from app.storage.database import empty_log, reading, translated, writing
from app.storage.tables import JobRow

_UNFINISHED = tuple(state.value for state in JobState if state not in FINISHED)
_FORGOTTEN: dict[str, Any] = {"request": "", "audio_url": "", "audio_bytes": 0}
_NO_OUTCOME: dict[str, Any] = {"outcome_body": None, "outcome_type": None, "outcome_problem": None}
_FREE: dict[str, Any] = {"worker": None, "lease_ends": None}
_ALL = tuple(JobRow.__table__.columns)
_FACTS = tuple(column for column in _ALL if not column.name.startswith("outcome_"))


class SqlJobStore:
    """``JobStore`` over a durable engine that ``open_database`` made and ``upgrade`` has brought up to date; owns it.

    What ends a job empties SQLite's log, which would go on holding the job: 1 ms after a transcript of 200 kB.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, job: Job, limits: JobLimits) -> bool:
        with self._writing() as connection:
            if not _has_room(connection, limits, job.audio_bytes):
                return False
            connection.execute(insert(JobRow).values(_columns(job)))
            return True

    def has_room(self, limits: JobLimits) -> bool:
        with self._reading() as connection:
            return _has_room(connection, limits, 0)

    def claim_recognition(self, worker: str, now: datetime, until: datetime) -> Job | None:
        queued = and_(JobRow.state == JobState.QUEUED.value, JobRow.due <= now)
        abandoned = and_(JobRow.state == JobState.RUNNING.value, JobRow.lease_ends < now)
        taken = {"state": JobState.RUNNING.value, "attempts": JobRow.attempts + 1}
        return self._claim(or_(queued, abandoned), worker, until, taken)

    def claim_delivery(self, worker: str, now: datetime, until: datetime) -> Job | None:
        is_free = or_(JobRow.worker.is_(None), JobRow.lease_ends < now)
        return self._claim(and_(JobRow.state == JobState.DELIVERING.value, JobRow.due <= now, is_free), worker, until, {})

    def extend(self, worker: str, job_ids: Collection[str], until: datetime) -> frozenset[str]:
        mine = and_(JobRow.worker == worker, JobRow.job_id.in_(job_ids))
        with self._writing() as connection:
            connection.execute(update(JobRow).where(mine).values(lease_ends=until))
            return frozenset(connection.execute(select(JobRow.job_id).where(mine)).scalars())

    def release(self, worker: str, job_id: str, due: datetime) -> bool:
        freed = {"state": JobState.QUEUED.value, "due": due, "attempts": JobRow.attempts - 1}
        return self._change(_held(worker, job_id, JobState.RUNNING).values(freed | _FREE))

    def conclude(self, worker: str, job_id: str, outcome: Outcome, now: datetime) -> bool:
        concluded = {"state": JobState.DELIVERING.value, "due": now, "deliveries": 0} | _outcome_columns(outcome)
        concluded |= {} if outcome.problem else {"audio_bytes": 0}
        return self._change(_held(worker, job_id, JobState.RUNNING).values(concluded | _FREE))

    def postpone(self, worker: str, job_id: str, due: datetime, problem: str) -> bool:
        postponed = {"due": due, "problem": problem, "deliveries": JobRow.deliveries + 1}
        return self._change(_held(worker, job_id, JobState.DELIVERING).values(postponed | _FREE))

    def finish(self, worker: str, job_id: str, now: datetime, problem: str = "") -> bool:
        state = JobState.FAILED if problem else JobState.DONE
        finished: dict[str, Any] = {"state": state.value, "finished": now, "problem": problem} | _FREE
        with self._writing() as connection:
            row = connection.execute(select(JobRow.callback_url).where(JobRow.job_id == job_id)).first()
            if row is None:
                return False
            if state is JobState.DONE:
                finished |= {"callback_url": _origin(row.callback_url)} | _FORGOTTEN | _NO_OUTCOME
            elif problem == UNDELIVERABLE:
                finished["deliveries"] = JobRow.deliveries + 1
            else:
                finished |= _NO_OUTCOME
            held = _held(worker, job_id, JobState.DELIVERING)
            is_mine = connection.execute(held.values(finished)).rowcount > 0
        empty_log(self._engine)
        return is_mine

    def cancel(self, job_id: str, now: datetime) -> bool:
        with self._writing() as connection:
            row = connection.execute(select(JobRow.callback_url).where(JobRow.job_id == job_id)).first()
            if row is None:
                return False
            ended = {"state": JobState.CANCELLED.value, "finished": now, "callback_url": _origin(row.callback_url)}
            ending = update(JobRow).where(JobRow.job_id == job_id, JobRow.state.in_(_UNFINISHED))
            is_cancelled = connection.execute(ending.values(ended | _FREE | _FORGOTTEN | _NO_OUTCOME)).rowcount > 0
        empty_log(self._engine)
        return is_cancelled

    def retry(self, job_id: str, now: datetime) -> bool:
        is_told = JobRow.outcome_problem == ""  # a transcript that never arrived
        waits = or_(JobRow.state == JobState.FAILED.value, _waits_for_delivery())
        again = {
            "state": case((is_told, literal(JobState.DELIVERING.value)), else_=literal(JobState.QUEUED.value)),
            "due": now,
            "attempts": 0,
            "deliveries": 0,
            "problem": "",
            "finished": None,
            "outcome_body": case((is_told, JobRow.outcome_body), else_=null()),
            "outcome_type": case((is_told, JobRow.outcome_type), else_=null()),
            "outcome_problem": case((is_told, literal("")), else_=null()),
        }
        return self._change(update(JobRow).where(JobRow.job_id == job_id, waits).values(again | _FREE))

    def get(self, job_id: str) -> Job | None:
        with self._reading() as connection:
            row = connection.execute(select(*_FACTS).where(JobRow.job_id == job_id)).first()
        return None if row is None else _job(row)

    def all(self) -> Sequence[Job]:
        with self._reading() as connection:
            rows = connection.execute(select(*_FACTS).order_by(JobRow.created, JobRow.job_id)).all()
        return [_job(row) for row in rows]

    def counts(self) -> Mapping[JobState, int]:
        with self._reading() as connection:
            rows = connection.execute(select(JobRow.state, func.count()).group_by(JobRow.state)).all()
        return {JobState(state): count for state, count in rows}

    def purge(self, before: datetime) -> Sequence[str]:
        with self._writing() as connection:
            is_old = JobRow.finished < before
            old = connection.execute(select(JobRow.job_id).where(is_old)).scalars().all()
            connection.execute(delete(JobRow).where(is_old))
        empty_log(self._engine)
        return old

    def forget_failed(self, most_bytes: int) -> Sequence[str]:
        with self._reading() as connection:  # nearly always there is room, and no need for the lock
            if _held_bytes(connection) <= most_bytes:
                return []
        failed = and_(JobRow.state == JobState.FAILED.value, JobRow.audio_bytes > 0)
        gone: list[str] = []
        with self._writing() as connection:
            held = _held_bytes(connection)
            oldest = select(JobRow.job_id, JobRow.audio_bytes).where(failed).order_by(JobRow.finished, JobRow.job_id)
            for row in connection.execute(oldest).all():
                if held <= most_bytes:
                    break
                held -= row.audio_bytes
                gone.append(row.job_id)
                connection.execute(delete(JobRow).where(JobRow.job_id == row.job_id))
        empty_log(self._engine)
        return gone

    def close(self) -> None:
        self._engine.dispose()

    def _claim(self, is_due: ColumnElement[bool], worker: str, until: datetime, taken: Mapping[str, Any]) -> Job | None:
        first = select(JobRow.job_id).where(is_due).order_by(JobRow.due, JobRow.job_id).limit(1)
        with self._reading() as connection:  # most times there is nothing, which needs no lock to find out
            if connection.execute(first).first() is None:
                return None
        with self._writing() as connection:
            job_id = connection.execute(first).scalar()
            if job_id is None:
                return None
            mine = {"worker": worker, "lease_ends": until}
            connection.execute(update(JobRow).where(JobRow.job_id == job_id).values({**taken, **mine}))
            return _job(connection.execute(select(*_ALL).where(JobRow.job_id == job_id)).one())

    def _change(self, change: Update) -> bool:
        with self._writing() as connection:
            return connection.execute(change).rowcount > 0

    def _reading(self) -> AbstractContextManager[Connection]:
        return _translated(reading(self._engine))

    def _writing(self) -> AbstractContextManager[Connection]:
        return _translated(writing(self._engine))


def _translated(transaction: AbstractContextManager[Connection]) -> AbstractContextManager[Connection]:
    return translated(transaction, "this job is stored already", "The job store cannot be reached.")


def _held(worker: str, job_id: str, state: JobState) -> Update:
    return update(JobRow).where(JobRow.job_id == job_id, JobRow.worker == worker, JobRow.state == state.value)


def _waits_for_delivery() -> ColumnElement[bool]:
    return and_(JobRow.state == JobState.DELIVERING.value, JobRow.worker.is_(None))


def _has_room(connection: Connection, limits: JobLimits, audio_bytes: int) -> bool:
    unfinished = JobRow.state.in_(_UNFINISHED)
    count, held = connection.execute(select(func.count(), func.sum(JobRow.audio_bytes)).where(unfinished)).one()
    return count < limits.max_jobs and (held or 0) + audio_bytes <= limits.max_bytes


def _held_bytes(connection: Connection) -> int:
    return connection.execute(select(func.sum(JobRow.audio_bytes))).scalar() or 0


def _origin(url: str) -> str:
    """Scheme and host: all that a listing needs, and nothing that opens anything."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}"


def _outcome_columns(outcome: Outcome) -> dict[str, Any]:
    return {"outcome_body": outcome.body, "outcome_type": outcome.media_type, "outcome_problem": outcome.problem}


def _columns(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "key_id": job.key_id,
        "created": job.created,
        "request": job.request,
        "callback_url": job.callback.url,
        "callback_method": job.callback.method,
        "audio_url": job.audio_url,
        "audio_bytes": job.audio_bytes,
        "state": job.state.value,
        "due": job.due,
        "attempts": job.attempts,
        "deliveries": job.deliveries,
        "problem": job.problem,
        "finished": job.finished,
        **_FREE,
        **(_NO_OUTCOME if job.outcome is None else _outcome_columns(job.outcome)),
    }


def _job(row: Row[Any]) -> Job:
    body = getattr(row, "outcome_body", None)
    return Job(
        job_id=row.job_id,
        key_id=row.key_id,
        created=row.created,
        request=row.request,
        callback=Callback(row.callback_url, row.callback_method),
        audio_url=row.audio_url,
        audio_bytes=row.audio_bytes,
        state=JobState(row.state),
        due=row.due,
        attempts=row.attempts,
        deliveries=row.deliveries,
        problem=row.problem,
        finished=row.finished,
        outcome=None if body is None else Outcome(body, row.outcome_type, row.outcome_problem),
    )
