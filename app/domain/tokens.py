"""Secrets that short-lived tokens are signed with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """One secret, as hex. ``retires`` (aware UTC): tokens signed with it are refused from then on; None: it is the one in
    use. Its text must not get into a log."""

    secret_id: str
    secret: str = field(repr=False)
    created: datetime
    retires: datetime | None = None


class SecretStore(Protocol):
    """Signing secrets, shared by threads and by processes. Blocking: call it in a thread.

    All raise ``Unavailable`` when the store cannot be reached.
    """

    def current(self, candidate: SigningSecret) -> SigningSecret:
        """The secret in use. Where there is none, ``candidate`` becomes it, for all processes, in one step."""
        ...

    def get(self, secret_id: str) -> SigningSecret | None: ...

    def replace(self, successor: SigningSecret, retires: datetime) -> None:
        """Put ``successor`` into use; what was in use retires then. Secrets that had retired before ``successor`` was made
        are forgotten."""
        ...

    def close(self) -> None:
        """Give back what is held open. A later call opens it again."""
        ...
