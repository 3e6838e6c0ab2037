"""A key store in memory, for tests of whatever stands on the ``KeyStore`` port."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from app.domain.errors import Unavailable
from app.domain.ports import ApiKey


class MemoryKeyStore:
    """``KeyStore`` in a dictionary. ``is_down`` makes every call fail as an unreachable database does."""

    def __init__(self) -> None:
        self.is_down = False
        self.closings = 0
        self.touches: list[tuple[str, datetime]] = []
        self._keys: dict[str, tuple[ApiKey, str]] = {}
        self._lock = threading.RLock()

    def add(self, key: ApiKey, secret_hash: str) -> None:
        with self._lock:
            self._check()
            if key.key_id in self._keys or any(secret_hash == known for _, known in self._keys.values()):
                raise ValueError("this key is stored already")
            self._keys[key.key_id] = (replace(key, created=key.created.astimezone(timezone.utc)), secret_hash)

    def add_first(self, key: ApiKey, secret_hash: str) -> bool:
        with self._lock:
            self._check()
            if self._keys:
                return False
            self.add(key, secret_hash)
            return True

    def replace(self, key_id: str, when: datetime, successor: ApiKey, secret_hash: str) -> bool:
        with self._lock:
            old = self.get(key_id)
            if old is None or old.revoked is not None:
                return False
            self.add(successor, secret_hash)
            return self.revoke(key_id, when)

    def find(self, secret_hash: str) -> ApiKey | None:
        with self._lock:
            self._check()
            return next((key for key, known in self._keys.values() if known == secret_hash), None)

    def get(self, key_id: str) -> ApiKey | None:
        with self._lock:
            self._check()
            return self._keys[key_id][0] if key_id in self._keys else None

    def all(self) -> Sequence[ApiKey]:
        with self._lock:
            self._check()
            return sorted((key for key, _ in self._keys.values()), key=lambda key: (key.created, key.key_id))

    def revoke(self, key_id: str, when: datetime) -> bool:
        with self._lock:
            key = self.get(key_id)
            if key is None or (key.revoked is not None and key.revoked <= when):
                return False
            self._keys[key_id] = (replace(key, revoked=when), self._keys[key_id][1])
            return True

    def touch(self, key_id: str, when: datetime) -> None:
        with self._lock:
            key = self.get(key_id)
            self.touches.append((key_id, when))
            if key is not None and (key.last_used is None or key.last_used < when):
                self._keys[key_id] = (replace(key, last_used=when), self._keys[key_id][1])

    def close(self) -> None:
        self.closings += 1

    def _check(self) -> None:
        if self.is_down:
            raise Unavailable("The key store cannot be reached.")
