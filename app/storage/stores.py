"""Keys in SQL."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, or_, select, update

from app.domain.ports import ApiKey
from app.storage.database import reading, translated, writing
from app.storage.tables import KeyRow


class SqlKeyStore:
    """``KeyStore`` over an engine that ``open_database`` made and ``upgrade`` has brought up to date; owns the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, key: ApiKey, secret_hash: str) -> None:
        with _translated(writing(self._engine)) as connection:
            connection.execute(insert(KeyRow).values(_columns(key, secret_hash)))

    def add_first(self, key: ApiKey, secret_hash: str) -> bool:
        with _translated(writing(self._engine)) as connection:
            if connection.execute(select(KeyRow.key_id).limit(1)).first() is not None:
                return False
            connection.execute(insert(KeyRow).values(_columns(key, secret_hash)))
            return True

    def replace(self, key_id: str, when: datetime, successor: ApiKey, secret_hash: str) -> bool:
        with _translated(writing(self._engine)) as connection:
            retired = connection.execute(
                update(KeyRow).where(KeyRow.key_id == key_id, KeyRow.revoked.is_(None)).values(revoked=when)
            )
            if retired.rowcount == 0:
                return False
            connection.execute(insert(KeyRow).values(_columns(successor, secret_hash)))
            return True

    def find(self, secret_hash: str) -> ApiKey | None:
        with _translated(reading(self._engine)) as connection:
            row = connection.execute(select(*_COLUMNS).where(KeyRow.secret_hash == secret_hash)).first()
        # The index compares by the column's collation, which some databases make blind to case.
        if row is None or not hmac.compare_digest(row.secret_hash, secret_hash):
            return None
        return _key(row)

    def get(self, key_id: str) -> ApiKey | None:
        with _translated(reading(self._engine)) as connection:
            row = connection.execute(select(*_COLUMNS).where(KeyRow.key_id == key_id)).first()
        return None if row is None else _key(row)

    def all(self) -> Sequence[ApiKey]:
        with _translated(reading(self._engine)) as connection:
            rows = connection.execute(select(*_COLUMNS).order_by(KeyRow.created, KeyRow.key_id)).all()
        return [_key(row) for row in rows]

    def revoke(self, key_id: str, when: datetime) -> bool:
        with _translated(writing(self._engine)) as connection:
            live = or_(KeyRow.revoked.is_(None), KeyRow.revoked > when)
            result = connection.execute(update(KeyRow).where(KeyRow.key_id == key_id, live).values(revoked=when))
        return result.rowcount > 0

    def touch(self, key_id: str, when: datetime) -> None:
        with _translated(writing(self._engine)) as connection:
            older = or_(KeyRow.last_used.is_(None), KeyRow.last_used < when)
            connection.execute(update(KeyRow).where(KeyRow.key_id == key_id, older).values(last_used=when))

    def close(self) -> None:
        self._engine.dispose()


_COLUMNS = tuple(KeyRow.__table__.columns)


def _translated(transaction: AbstractContextManager[Connection]) -> AbstractContextManager[Connection]:
    return translated(transaction, "this key is stored already", "The key store cannot be reached.")


def _columns(key: ApiKey, secret_hash: str) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "secret_hash": secret_hash,
        "prefix": key.prefix,
        "name": key.name,
        "scopes": list(key.scopes),
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
        "last_used": key.last_used,
        "tags": list(key.tags),
    }


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        prefix=row.prefix,
        name=row.name,
        scopes=tuple(row.scopes),
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
        last_used=row.last_used,
        tags=tuple(row.tags or ()),  # null: made before keys had any
    )
