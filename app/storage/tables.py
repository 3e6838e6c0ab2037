"""The declarative tables. The schema itself comes from ``migrations/``; a test holds the two together."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Float, Index, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names of constraints, fixed so that migrations can refer to them on every database."""


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC on both sides. SQLite keeps no time zone, so what it returns is UTC because only UTC went in."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time: it would be stored as if it were UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone")
        return value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class KeyRow(Base):
    """One API key. ``secret_hash`` is the SHA-256 of the secret in lower-case hex; the secret itself is nowhere."""

    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(200))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    expires: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tags: Mapped[list[str] | None] = mapped_column(JSON)


class JobRow(Base):
    """One accepted recording with a callback (``app/domain/jobs.py`` says what the columns mean).

    ``worker`` holds it until ``lease_ends``; both are null while nobody does. ``outcome_*`` are null except while something
    waits for its delivery.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "due"),)

    job_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(36))
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    request: Mapped[str] = mapped_column(Text)
    callback_url: Mapped[str] = mapped_column(Text)
    callback_method: Mapped[str] = mapped_column(String(8))
    audio_url: Mapped[str] = mapped_column(Text)
    audio_bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    due: Mapped[datetime] = mapped_column(UtcDateTime)
    worker: Mapped[str | None] = mapped_column(String(36))
    lease_ends: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer)
    deliveries: Mapped[int] = mapped_column(Integer)
    problem: Mapped[str] = mapped_column(String(80))
    finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome_body: Mapped[bytes | None] = mapped_column(LargeBinary)
    outcome_type: Mapped[str | None] = mapped_column(String(80))
    outcome_problem: Mapped[str | None] = mapped_column(String(80))


class SecretRow(Base):
    """One secret that tokens are signed with, as hex: whoever reads it can make tokens. Of those that do not retire there is
    one."""

    __tablename__ = "signing_secrets"

    secret_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    secret: Mapped[str] = mapped_column(String(128))
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    retires: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UsageRow(Base):
    """One request (``app/domain/usage.py`` says what the columns mean). ``features`` and ``tags`` are JSON lists as text,
    which every database can group by; ``day`` is the UTC day of ``created``."""

    __tablename__ = "usage_records"
    __table_args__ = (Index(None, "created"),)

    request_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    day: Mapped[str] = mapped_column(String(10))
    path: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(String(16))
    key_id: Mapped[str] = mapped_column(String(36))
    completed: Mapped[datetime | None] = mapped_column(UtcDateTime)
    code: Mapped[int | None] = mapped_column(Integer)
    model: Mapped[str] = mapped_column(String(200))
    model_uuid: Mapped[str] = mapped_column(String(36))
    model_version: Mapped[str] = mapped_column(String(80))
    language: Mapped[str] = mapped_column(String(16))
    channels: Mapped[int] = mapped_column(Integer)
    audio_s: Mapped[float] = mapped_column(Float)
    features: Mapped[str] = mapped_column(Text)
    tags: Mapped[str] = mapped_column(Text)
