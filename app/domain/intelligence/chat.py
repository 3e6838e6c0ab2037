"""The port to language models (apart from ``ports.py`` only for its length). ``app/wiring.py`` joins it to its adapter."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from app.domain.intelligence.questions import Question


class ChatFailed(Exception):
    """A language model gave no answer. The message says why in words that a client may read: no address, no key, no text."""


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What a language model wrote, and what it counted; 0 where it did not say."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0


class ChatModel(Protocol):
    """A language model somewhere else. ``name`` is the model's. ``ask`` raises ``ChatFailed``, and may take any time."""

    name: str

    def ask(self, question: Question) -> Awaitable[ChatAnswer]: ...
