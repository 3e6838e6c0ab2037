"""A record of requests and a store of secrets in memory, for tests of whatever stands on these ports."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from app.domain.errors import Unavailable
from app.domain.tokens import SigningSecret
from app.domain.usage import UsageCell, UsageFilter, UsageRecord, latest


class MemoryUsageStore:
    """``UsageStore`` in a dictionary. ``is_down`` makes every call fail as an unreachable database does; ``batches`` are the
    sizes of what was put."""

    def __init__(self) -> None:
        self.is_down = False
        self.batches: list[int] = []
        self._records: dict[str, UsageRecord] = {}
        self._lock = threading.Lock()

    def put(self, records: Sequence[UsageRecord]) -> None:
        with self._lock:
            self._check()
            self.batches.append(len(records))
            for record in latest(records):
                known = self._records.get(record.request_id)
                if known is None or known.completed is None or record.completed is not None:
                    self._records[record.request_id] = record

    def get(self, request_id: str) -> UsageRecord | None:
        with self._lock:
            self._check()
            return self._records.get(request_id)

    def page(self, wanted: UsageFilter, limit: int, skip: int = 0) -> Sequence[UsageRecord]:
        by_id = sorted(self._meeting(wanted), key=lambda record: record.request_id)
        return sorted(by_id, key=lambda record: record.created, reverse=True)[skip : skip + limit]

    def cells(self, wanted: UsageFilter) -> Sequence[UsageCell]:
        found: dict[tuple[object, ...], UsageCell] = {}
        for record in self._meeting(wanted):
            cell = _cell(record)
            shared = (cell.day, cell.key_id, cell.method, cell.model, cell.language, cell.features, cell.tags)
            sums = found.get(shared)
            found[shared] = cell if sums is None else _sum(sums, cell)
        return list(found.values())

    def purge(self, before: datetime) -> int:
        with self._lock:
            self._check()
            old = [record.request_id for record in self._records.values() if record.created < before]
            for request_id in old:
                del self._records[request_id]
            return len(old)

    def close(self) -> None:
        pass

    def _meeting(self, wanted: UsageFilter) -> list[UsageRecord]:
        with self._lock:
            self._check()
            return [record for record in self._records.values() if _meets(record, wanted)]

    def _check(self) -> None:
        if self.is_down:
            raise Unavailable("The record of requests cannot be reached.")


class MemorySecretStore:
    """``SecretStore`` in a list."""

    def __init__(self) -> None:
        self._secrets: dict[str, SigningSecret] = {}
        self._lock = threading.Lock()

    def current(self, candidate: SigningSecret) -> SigningSecret:
        with self._lock:
            for secret in self._secrets.values():
                if secret.retires is None:
                    return secret
            self._secrets[candidate.secret_id] = candidate
            return candidate

    def get(self, secret_id: str) -> SigningSecret | None:
        with self._lock:
            return self._secrets.get(secret_id)

    def replace(self, successor: SigningSecret, retires: datetime) -> None:
        with self._lock:
            kept = [each for each in self._secrets.values() if each.retires is None or each.retires >= successor.created]
            retired = [replace(each, retires=each.retires or retires) for each in kept]
            self._secrets = {each.secret_id: each for each in (*retired, successor)}

    def close(self) -> None:
        pass


def _meets(record: UsageRecord, wanted: UsageFilter) -> bool:
    return (
        (wanted.start is None or record.created >= wanted.start)
        and (wanted.end is None or record.created < wanted.end)
        and wanted.key_id in (None, record.key_id)
        and wanted.request_id in (None, record.request_id)
        and wanted.method in (None, record.method)
        and (wanted.succeeded is None or (record.code is not None and (record.code < 400) is wanted.succeeded))
    )


def _cell(record: UsageRecord) -> UsageCell:
    return UsageCell(
        day=record.created.astimezone(timezone.utc).date().isoformat(),
        key_id=record.key_id,
        method=record.method,
        model=record.model,
        model_uuid=record.model_uuid,
        model_version=record.model_version,
        language=record.language,
        features=record.features,
        tags=record.tags,
        requests=1,
        failed=int(record.code is not None and record.code >= 400),
        audio_s=record.audio_s,
        channel_s=record.audio_s * record.channels,
    )


def _sum(one: UsageCell, other: UsageCell) -> UsageCell:
    return replace(
        one,
        requests=one.requests + other.requests,
        failed=one.failed + other.failed,
        audio_s=one.audio_s + other.audio_s,
        channel_s=one.channel_s + other.channel_s,
    )
