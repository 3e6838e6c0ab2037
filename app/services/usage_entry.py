"""What is known so far of the request that is being served, filled in by whoever learns it.

The edge opens an entry around each request; services note what they do in the entry of the task that they run in, so that
every dialect's requests are recorded without one of them saying so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from app.domain.options import LiveOptions, TranscribeOptions
from app.domain.transcript import ModelInfo, Transcript
from app.domain.usage import Method, UsageRecord, features_of

Heard = Callable[[], tuple[float, int]]
"""Seconds that a running stream has heard, and how many channels of it are transcribed."""


@dataclass(slots=True)
class UsageEntry:
    """One request. Nothing is recorded of it until ``is_wanted``; ``answers_later``: its answer goes to a callback."""

    request_id: str
    created: datetime
    path: str = ""
    method: Method = Method.SYNC
    tags: tuple[str, ...] = ()
    key_id: str = ""
    is_wanted: bool = False
    answers_later: bool = False
    _model: ModelInfo | None = None
    _language: str = ""
    _features: frozenset[str] = frozenset()
    _audio_s: float = 0.0
    _channels: int = 1
    _streams: list[Heard] = field(default_factory=list)

    def note_caller(self, key_id: str) -> None:
        """Somebody who may transcribe has asked; ``key_id`` is empty where the server runs without keys."""
        self.key_id = key_id
        self.is_wanted = True

    def note_request(self, options: TranscribeOptions | LiveOptions, model: ModelInfo, language: str | None) -> None:
        """It has been admitted, for this model and Whisper's code of a language (None: to be detected)."""
        self._model = model
        self._language = language or self._language
        self._features |= frozenset(features_of(options))

    def note_recording(self, transcript: Transcript) -> None:
        """A recording has been transcribed."""
        self._audio_s += transcript.audio_s
        self._channels = max(1, len(transcript.channels))
        if transcript.channels:
            self._language = transcript.channels[0].language

    def note_stream(self, heard: Heard) -> None:
        """A stream begins; ``heard`` may be asked from any thread until the request is over, and afterwards."""
        self._streams.append(heard)

    def record(self, completed: datetime | None = None, code: int | None = None) -> UsageRecord:
        """All of it as it stands."""
        model = self._model
        heard = [each() for each in self._streams]
        return UsageRecord(
            request_id=self.request_id,
            created=self.created,
            path=self.path,
            method=self.method,
            key_id=self.key_id,
            completed=completed,
            code=code,
            model="" if model is None else model.name,
            model_uuid="" if model is None else model.uuid,
            model_version="" if model is None else model.version,
            language=self._language,
            channels=max([self._channels, *(channels for _, channels in heard)]),
            audio_s=self._audio_s + sum(audio_s for audio_s, _ in heard),
            features=tuple(sorted(self._features)),
            tags=self.tags,
        )


_current: ContextVar[UsageEntry | None] = ContextVar("current_usage", default=None)


def current_usage() -> UsageEntry | None:
    """The entry of the request that this task works for; None: nobody keeps one."""
    return _current.get()


@contextmanager
def entered(entry: UsageEntry) -> Iterator[UsageEntry]:
    """Make it the entry of this task, and of the tasks that it starts."""
    token = _current.set(entry)
    try:
        yield entry
    finally:
        _current.reset(token)
