"""Requests on record, in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, case, delete, func, insert, select

from app.domain.usage import Method, UsageCell, UsageFilter, UsageRecord, latest
from app.storage.database import reading, translated, writing
from app.storage.tables import UsageRow

_ALL = tuple(UsageRow.__table__.columns)
_SHARED = (
    UsageRow.day,
    UsageRow.key_id,
    UsageRow.method,
    UsageRow.model,
    UsageRow.model_uuid,
    UsageRow.model_version,
    UsageRow.language,
    UsageRow.features,
    UsageRow.tags,
)
"""What the requests of one cell have in common."""

_FAILS_FROM = 400


class SqlUsageStore:
    """``UsageStore`` over an engine that ``open_database`` made and ``upgrade`` has brought up to date; owns the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, records: Sequence[UsageRecord]) -> None:
        arriving = latest(records)
        if not arriving:
            return
        with _translated(writing(self._engine)) as connection:  # writers take turns: nobody comes between the statements
            finished = self._finished(connection, [record.request_id for record in arriving if record.completed is None])
            kept = [record for record in arriving if record.request_id not in finished]
            replaced = UsageRow.request_id.in_([record.request_id for record in kept])
            connection.execute(delete(UsageRow).where(replaced))
            if kept:
                connection.execute(insert(UsageRow), [_columns(record) for record in kept])

    def get(self, request_id: str) -> UsageRecord | None:
        with _translated(reading(self._engine)) as connection:
            row = connection.execute(select(*_ALL).where(UsageRow.request_id == request_id)).first()
        return None if row is None else _record(row)

    def page(self, wanted: UsageFilter, limit: int, skip: int = 0) -> Sequence[UsageRecord]:
        newest_first = (UsageRow.created.desc(), UsageRow.request_id)
        chosen = select(*_ALL).where(_meets(wanted)).order_by(*newest_first).limit(limit).offset(skip)
        with _translated(reading(self._engine)) as connection:
            rows = connection.execute(chosen).all()
        return [_record(row) for row in rows]

    def cells(self, wanted: UsageFilter) -> Sequence[UsageCell]:
        sums = (
            func.count().label("requests"),
            func.sum(case((UsageRow.code >= _FAILS_FROM, 1), else_=0)).label("failed"),
            func.sum(UsageRow.audio_s).label("audio_s"),
            func.sum(UsageRow.audio_s * UsageRow.channels).label("channel_s"),
        )
        columns: list[Any] = [*_SHARED, *sums]  # too many for the library's types
        chosen = select(*columns).where(_meets(wanted)).group_by(*_SHARED).order_by(*_SHARED)
        with _translated(reading(self._engine)) as connection:
            rows = connection.execute(chosen).all()
        return [_cell(row) for row in rows]

    def purge(self, before: datetime) -> int:
        with _translated(writing(self._engine)) as connection:
            return connection.execute(delete(UsageRow).where(UsageRow.created < before)).rowcount

    def close(self) -> None:
        self._engine.dispose()

    def _finished(self, connection: Connection, request_ids: list[str]) -> frozenset[str]:
        """Those of the ids under which a finished request is on record."""
        if not request_ids:
            return frozenset()
        chosen = select(UsageRow.request_id).where(UsageRow.request_id.in_(request_ids), UsageRow.completed.is_not(None))
        return frozenset(connection.execute(chosen).scalars())


def _translated(transaction: AbstractContextManager[Connection]) -> AbstractContextManager[Connection]:
    return translated(transaction, "this request is on record already", "The record of requests cannot be reached.")


def _meets(wanted: UsageFilter) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [UsageRow.request_id.is_not(None)]
    if wanted.start is not None:
        conditions.append(UsageRow.created >= wanted.start)
    if wanted.end is not None:
        conditions.append(UsageRow.created < wanted.end)
    if wanted.key_id is not None:
        conditions.append(UsageRow.key_id == wanted.key_id)
    if wanted.request_id is not None:
        conditions.append(UsageRow.request_id == wanted.request_id)
    if wanted.method is not None:
        conditions.append(UsageRow.method == wanted.method.value)
    if wanted.succeeded is not None:
        conditions.append(UsageRow.code < _FAILS_FROM if wanted.succeeded else UsageRow.code >= _FAILS_FROM)
    return and_(*conditions)


def _columns(record: UsageRecord) -> dict[str, Any]:
    return {
        "request_id": record.request_id,
        "created": record.created,
        "day": record.created.astimezone(timezone.utc).date().isoformat(),
        "path": record.path,
        "method": record.method.value,
        "key_id": record.key_id,
        "completed": record.completed,
        "code": record.code,
        "model": record.model,
        "model_uuid": record.model_uuid,
        "model_version": record.model_version,
        "language": record.language,
        "channels": record.channels,
        "audio_s": record.audio_s,
        "features": json.dumps(record.features),
        "tags": json.dumps(record.tags),
    }


def _record(row: Row[Any]) -> UsageRecord:
    return UsageRecord(
        request_id=row.request_id,
        created=row.created,
        path=row.path,
        method=Method(row.method),
        key_id=row.key_id,
        completed=row.completed,
        code=row.code,
        model=row.model,
        model_uuid=row.model_uuid,
        model_version=row.model_version,
        language=row.language,
        channels=row.channels,
        audio_s=row.audio_s,
        features=tuple(json.loads(row.features)),
        tags=tuple(json.loads(row.tags)),
    )


def _cell(row: Row[Any]) -> UsageCell:
    return UsageCell(
        day=row.day,
        key_id=row.key_id,
        method=Method(row.method),
        model=row.model,
        model_uuid=row.model_uuid,
        model_version=row.model_version,
        language=row.language,
        features=tuple(json.loads(row.features)),
        tags=tuple(json.loads(row.tags)),
        requests=row.requests,
        failed=row.failed,
        audio_s=row.audio_s,
        channel_s=row.channel_s,
    )
