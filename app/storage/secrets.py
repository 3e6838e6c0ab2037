"""Secrets that tokens are signed with, in SQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from app.domain.tokens import SigningSecret
from app.storage.database import reading, translated, writing
from app.storage.tables import SecretRow

_ALL = tuple(SecretRow.__table__.columns)


class SqlSecretStore:
    """``SecretStore`` over an engine that ``open_database`` made and ``upgrade`` has brought up to date; owns the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def current(self, candidate: SigningSecret) -> SigningSecret:
        in_use = select(*_ALL).where(SecretRow.retires.is_(None)).order_by(SecretRow.created.desc(), SecretRow.secret_id)
        with _translated(reading(self._engine)) as connection:  # nearly always there: no need to wait for writers
            row = connection.execute(in_use).first()
        if row is not None:
            return _secret(row)
        with _translated(writing(self._engine)) as connection:
            row = connection.execute(in_use).first()
            if row is not None:
                return _secret(row)
            connection.execute(insert(SecretRow).values(_columns(candidate)))
        return candidate

    def get(self, secret_id: str) -> SigningSecret | None:
        with _translated(reading(self._engine)) as connection:
            row = connection.execute(select(*_ALL).where(SecretRow.secret_id == secret_id)).first()
        return None if row is None else _secret(row)

    def replace(self, successor: SigningSecret, retires: datetime) -> None:
        with _translated(writing(self._engine)) as connection:
            connection.execute(delete(SecretRow).where(SecretRow.retires < successor.created))
            connection.execute(update(SecretRow).where(SecretRow.retires.is_(None)).values(retires=retires))
            connection.execute(insert(SecretRow).values(_columns(successor)))

    def close(self) -> None:
        self._engine.dispose()


def _translated(transaction: AbstractContextManager[Connection]) -> AbstractContextManager[Connection]:
    return translated(transaction, "this secret is stored already", "The secrets of tokens cannot be reached.")


def _columns(secret: SigningSecret) -> dict[str, Any]:
    return {
        "secret_id": secret.secret_id,
        "secret": secret.secret,
        "created": secret.created,
        "retires": secret.retires,
    }


def _secret(row: Row[Any]) -> SigningSecret:
    return SigningSecret(row.secret_id, row.secret, row.created, row.retires)
