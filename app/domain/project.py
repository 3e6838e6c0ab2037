"""The one project of a self-hosted server, and its one member: whoever runs it."""

from __future__ import annotations

from uuid import UUID, uuid5

PROJECT_ID = str(uuid5(UUID(int=0), "whisperapi"))
"""As Deepgram's ids look; the same on every server, so that a client's configuration survives a new installation."""

PROJECT_NAME = "whisperapi"
MEMBER_ID = str(uuid5(UUID(PROJECT_ID), "operator"))
MEMBER_EMAIL = "operator@localhost"
"""Clients expect an address; mail to this one goes nowhere."""

BALANCE_ID = str(uuid5(UUID(PROJECT_ID), "balance"))
