"""What is remembered of each request for transcription: who asked, when, for what, and how much sound it was.

Never what was said; of what the client sent only the names of features, its tags and the harmless part of the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Protocol

from app.domain.options import LiveOptions, TranscribeOptions


class Method(str, Enum):
    """How a request was answered: at once, later at its callback, or while its sound came in."""

    SYNC = "sync"
    ASYNC = "async"
    STREAMING = "streaming"


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One request. Times are aware UTC.

    ``code`` is the HTTP status it was answered with; it and ``completed`` are None while the request goes on, and for ever
    when the server died under it. ``audio_s`` counts the sound heard so far, whatever became of it; ``channels`` is how
    many channels of it were transcribed. ``path`` carries the part of the query that may be shown.
    """

    request_id: str
    created: datetime
    path: str
    method: Method
    key_id: str = ""
    completed: datetime | None = None
    code: int | None = None
    model: str = ""
    model_uuid: str = ""
    model_version: str = ""
    language: str = ""
    channels: int = 1
    audio_s: float = 0.0
    features: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which requests are meant; None: any. Times are aware, ``start`` included, ``end`` not.

    ``succeeded``: answered with a status below 400. An unfinished request has neither succeeded nor failed.
    """

    start: datetime | None = None
    end: datetime | None = None
    key_id: str | None = None
    request_id: str | None = None
    method: Method | None = None
    succeeded: bool | None = None


@dataclass(frozen=True, slots=True)
class UsageCell:
    """Requests of one UTC ``day`` (``YYYY-MM-DD``) that have everything else in common, and their sums.

    ``channel_s`` counts each transcribed channel's sound, ``audio_s`` that of the recording once.
    """

    day: str
    key_id: str
    method: Method
    model: str
    model_uuid: str
    model_version: str
    language: str
    features: tuple[str, ...]
    tags: tuple[str, ...]
    requests: int
    failed: int
    audio_s: float
    channel_s: float


class UsageStore(Protocol):
    """Requests on record, shared by threads and processes. Blocking: call it in a thread.

    What ``put`` has stored survives the end of the process once it has returned. All raise ``Unavailable`` when the store
    cannot be reached.
    """

    def put(self, records: Sequence[UsageRecord]) -> None:
        """Store these, all or none. A record replaces an earlier one of the same request, except that an unfinished one
        never replaces a finished one. Of several for one request in ``records`` the last finished one counts."""
        ...

    def get(self, request_id: str) -> UsageRecord | None: ...

    def page(self, wanted: UsageFilter, limit: int, skip: int = 0) -> Sequence[UsageRecord]:
        """At most ``limit`` requests, newest first, without the first ``skip``."""
        ...

    def cells(self, wanted: UsageFilter) -> Sequence[UsageCell]:
        """Sums over all that is wanted, by day."""
        ...

    def purge(self, before: datetime) -> int:
        """Forget the requests that came before then; returns how many."""
        ...

    def close(self) -> None:
        """Give back what is held open. A later call opens it again."""
        ...


def latest(records: Sequence[UsageRecord]) -> list[UsageRecord]:
    """One record for each request: its last finished one, or its last one."""
    found: dict[str, UsageRecord] = {}
    for record in records:
        earlier = found.get(record.request_id)
        if earlier is None or earlier.completed is None or record.completed is not None:
            found[record.request_id] = record
    return list(found.values())


def features_of(options: TranscribeOptions | LiveOptions) -> tuple[str, ...]:
    """Names of what was asked for beyond plain words, in alphabetical order."""
    found = {
        choice.name
        for choice in fields(options.text)
        if choice.name != "utterance_split_s" and getattr(options.text, choice.name)
    }
    found |= {"keyterm"} if options.keyterms else set()
    switches = ("diarize", "multichannel", "translate", "prompt")
    found |= {name for name in switches if getattr(options, name)}
    if options.code_switching:
        found.add("multi")
    if isinstance(options, TranscribeOptions):
        found |= {asked.parameter for asked in options.intelligence.asked}
        found |= {"detect_language"} if options.detect_language else set()
    else:
        stream = options.stream
        live = {
            "interim_results": stream.interim_results,
            "utterance_end": stream.utterance_end_s is not None,
            "vad_events": stream.vad_events,
        }
        found |= {name for name, is_on in live.items() if is_on}
    return tuple(sorted(found))
