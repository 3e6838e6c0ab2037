"""What the record of requests says: single requests, sums by day, and sums by whatever they are grouped by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from app.domain.errors import NotFound
from app.domain.usage import UsageCell, UsageFilter, UsageRecord, UsageStore


class Grouping(str, Enum):
    """What sums can be grouped by. A request with several tags counts under each of them."""

    KEY = "key"
    MODEL = "model"
    MODEL_UUID = "model_uuid"
    METHOD = "method"
    TAG = "tag"
    FEATURES = "features"


@dataclass(frozen=True, slots=True)
class Sums:
    """How many requests, how many of them failed, and seconds of sound: of recordings, and of all transcribed channels."""

    requests: int = 0
    failed: int = 0
    audio_s: float = 0.0
    channel_s: float = 0.0

    def plus(self, cell: UsageCell) -> Sums:
        """With one cell more."""
        return Sums(
            self.requests + cell.requests,
            self.failed + cell.failed,
            self.audio_s + cell.audio_s,
            self.channel_s + cell.channel_s,
        )


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """Which requests, and of these only those for ``model`` (name or UUID), with ``tag``, with all of ``features``."""

    wanted: UsageFilter = field(default_factory=UsageFilter)
    model: str | None = None
    tag: str | None = None
    features: frozenset[str] = frozenset()

    def meets(self, cell: UsageCell) -> bool:
        """Whether the cell is meant. ``wanted`` has been asked of the store."""
        is_model = self.model is None or self.model in (cell.model, cell.model_uuid)
        return is_model and (self.tag is None or self.tag in cell.tags) and self.features <= set(cell.features)


@dataclass(frozen=True, slots=True)
class UsedModel:
    """A model that served requests, in one language."""

    name: str
    language: str
    version: str
    uuid: str


@dataclass(frozen=True, slots=True)
class UsageFields:
    """Everything that occurs, each once and in order."""

    tags: tuple[str, ...]
    models: tuple[UsedModel, ...]
    methods: tuple[str, ...]
    features: tuple[str, ...]
    languages: tuple[str, ...]


_GROUPS: dict[Grouping, Callable[[UsageCell], Iterable[str]]] = {
    Grouping.KEY: lambda cell: (cell.key_id,),
    Grouping.MODEL: lambda cell: (cell.model,),
    Grouping.MODEL_UUID: lambda cell: (cell.model_uuid,),
    Grouping.METHOD: lambda cell: (cell.method.value,),
    Grouping.TAG: lambda cell: cell.tags or ("",),
    Grouping.FEATURES: lambda cell: (",".join(cell.features),),
}


class Usage:
    """Over a store. Every method blocks for a query: call it in a thread. All raise ``Unavailable`` without a store."""

    def __init__(self, store: UsageStore) -> None:
        self._store = store

    def request(self, request_id: str) -> UsageRecord:
        """One request. Raises ``NotFound``."""
        record = self._store.get(request_id)
        if record is None:
            raise NotFound("A request with the submitted ID cannot be found.")
        return record

    def requests(self, wanted: UsageFilter, limit: int, page: int = 0) -> Sequence[UsageRecord]:
        """Page ``page``, from 0, of ``limit`` requests each, newest first."""
        return self._store.page(wanted, limit, page * limit)

    def by_day(self, question: UsageQuestion) -> list[tuple[str, Sums]]:
        """The UTC days on which there was anything, in order."""
        return _summed(self._cells(question), lambda cell: (cell.day,))

    def grouped(self, question: UsageQuestion, grouping: Grouping) -> list[tuple[str, Sums]]:
        """Sums over all days for each value; what has none is under an empty one."""
        return _summed(self._cells(question), _GROUPS[grouping])

    def total(self, question: UsageQuestion) -> Sums:
        """All of it."""
        return dict(_summed(self._cells(question), lambda _: ("",))).get("", Sums())

    def fields(self, wanted: UsageFilter) -> UsageFields:
        """What occurs in these requests."""
        cells = self._store.cells(wanted)
        models = {UsedModel(cell.model, cell.language, cell.model_version, cell.model_uuid) for cell in cells if cell.model}
        return UsageFields(
            tags=_each(tag for cell in cells for tag in cell.tags),
            models=tuple(sorted(models, key=lambda model: (model.name, model.language))),
            methods=_each(cell.method.value for cell in cells),
            features=_each(feature for cell in cells for feature in cell.features),
            languages=_each(cell.language for cell in cells if cell.language),
        )

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _cells(self, question: UsageQuestion) -> list[UsageCell]:
        return [cell for cell in self._store.cells(question.wanted) if question.meets(cell)]


def _summed(cells: Iterable[UsageCell], groups: Callable[[UsageCell], Iterable[str]]) -> list[tuple[str, Sums]]:
    found: dict[str, Sums] = {}
    for cell in cells:
        for group in groups(cell):
            found[group] = found.get(group, Sums()).plus(cell)
    return sorted(found.items())


def _each(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))
