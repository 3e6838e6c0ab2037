"""Measurements of this machine, kept in the data folder: what ``bench`` found, what ``serve --auto-tune`` applies."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.domain.ports import InstalledModel
from app.engines.cpu import cpu_name, plan_workers, usable_cores
from app.services.tuning import Combination
from app.settings import Settings

FILE_NAME = "measurements.json"
KEPT = 50
"""Measurements kept; the oldest go. One is made per machine, model and engine build."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a measurement holds for. Another core, quota, model, build or choice of the operator asks for a new one."""

    cpu: str
    cores: int
    model: str
    model_bytes: int
    engine: str
    gpu: bool
    flash_attention: bool | None
    workers: int
    threads: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """``workers`` and ``threads`` were found best; ``figures`` is what ``bench --json`` prints, or the short form's part."""

    fingerprint: Fingerprint
    when: str
    workers: int
    threads: int
    figures: Mapping[str, Any]

    @property
    def best(self) -> Combination:
        """What to run."""
        return Combination(self.workers, self.threads)

    @property
    def threads_to_set(self) -> int:
        """The setting that goes with ``workers``."""
        return threads_to_set(self.best, self.fingerprint.cores, self.fingerprint.threads)

    @property
    def full_window_s(self) -> float | None:
        """Seconds for a full window with all cores, the figure to compare builds by; None in the short form."""
        found = [each["full_window_s"] for each in self.figures.get("threads", ())]
        return min(found) if found else None


def threads_to_set(best: Combination, cores: int, given: int) -> int:
    """The setting of threads that makes a combination; 0, with which idle workers lend theirs, where it comes to the same.

    ``given`` is what the operator has set (0: nothing).
    """
    return 0 if not given and plan_workers(cores, best.workers).threads == best.threads else best.threads


def engine_build() -> str:
    """Version of the installed engine; a build of ``engine build`` carries its name behind a plus sign."""
    return version("pywhispercpp")


def take_fingerprint(settings: Settings, model: InstalledModel) -> Fingerprint:
    """That of this machine as it is now."""
    return Fingerprint(
        cpu=cpu_name(),
        cores=usable_cores(),
        model=model.info.name,
        model_bytes=model.size_bytes,
        engine=engine_build(),
        gpu=settings.gpu,
        flash_attention=settings.flash_attention,
        workers=settings.workers,
        threads=settings.threads,
    )


class Measurements:
    """The file. One that cannot be read counts as empty: everything in it can be measured again."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME

    def all(self) -> tuple[Measurement, ...]:
        """Oldest first."""
        try:
            items = json.loads(self._file.read_text(encoding="utf-8"))
            return tuple(Measurement(**{**item, "fingerprint": Fingerprint(**item["fingerprint"])}) for item in items)
        except (OSError, ValueError, TypeError, KeyError):
            return ()

    def find(self, fingerprint: Fingerprint) -> Measurement | None:
        """What was measured under the same conditions."""
        return next((each for each in self.all() if each.fingerprint == fingerprint), None)

    def remember(self, fingerprint: Fingerprint, best: Combination, figures: Mapping[str, Any]) -> Measurement:
        """Keep a measurement in place of an older one of the same conditions, if the folder can be written (``has``)."""
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        new = Measurement(fingerprint, when, best.workers, best.threads, figures)
        kept = [*(each for each in self.all() if each.fingerprint != fingerprint), new][-KEPT:]
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(".partial")
            partial.write_text(json.dumps([asdict(each) for each in kept], indent=1) + "\n", encoding="utf-8")
            partial.replace(self._file)
        return new

    def has(self, measurement: Measurement) -> bool:
        """Whether it was kept."""
        found = self.find(measurement.fingerprint)
        return found is not None and found.when == measurement.when
