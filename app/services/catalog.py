"""From the name a client writes to the model that does the work (contract 2.2 and 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.domain.errors import Unavailable, UnsupportedModel
from app.domain.languages import known_code
from app.domain.ports import InstalledModel
from app.domain.transcript import RequestWarning
from app.services.catalog_entries import BUNDLED_DIR, CatalogData, CatalogEntry, load_catalog
from app.services.installed_models import ModelFiles

_LONGEST_NAME_SHOWN = 80  # what a client made up comes back in its warning

UnknownModelPolicy = Literal["refuse", "default"]


class PullFailed(Exception):
    """The default model could not be fetched; the message says why, in words for the person who starts the server."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The model to use, the code of its language (None: detect it), and what the client should know about the choice."""

    model: InstalledModel
    language: str | None
    warnings: tuple[RequestWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    model: InstalledModel
    pinned: bool = False  # the client named exactly this model: take no other in its place
    warnings: tuple[RequestWarning, ...] = ()


class Catalog:
    """The models that are known and those that are here. Blocking, but only by a folder listing."""

    def __init__(
        self,
        data: CatalogData,
        models_dir: Path,
        bundled_dir: Path = BUNDLED_DIR,
        default_model: str = "base",
        unknown_model: UnknownModelPolicy = "refuse",
        remote: Sequence[InstalledModel] = (),
    ) -> None:
        self.data = data
        self.models_dir = models_dir
        self._files = ModelFiles(data, models_dir, bundled_dir)
        self._default_name = default_model.strip()
        self._unknown_model = unknown_model
        self.remote = tuple(remote)
        """Models that other servers have; before a local one of the same name."""

    @classmethod
    def open(
        cls,
        models_dir: Path,
        default_model: str,
        unknown_model: UnknownModelPolicy = "refuse",
        remote: Sequence[InstalledModel] = (),
    ) -> Catalog:
        """The catalogue that came with the package, over this folder of downloaded weights and beside other servers."""
        return cls(load_catalog(), models_dir, default_model=default_model, unknown_model=unknown_model, remote=remote)

    @property
    def entries(self) -> tuple[CatalogEntry, ...]:
        """Every model known by name, installed or not."""
        return self.data.entries

    def installed(self) -> list[InstalledModel]:
        """Every model that can be served now: those of other servers, then those here in the catalogue's order."""
        taken = {model.info.name for model in self.remote}
        return [*self.remote, *(model for model in self._files.installed() if model.info.name not in taken)]

    def find_installed(self, name: str) -> InstalledModel | None:
        """The installed model of a name, alias, file name or uuid."""
        return self._named(name.strip().lower(), self.installed())

    def default(self) -> InstalledModel:
        """The configured default model; while it is missing, the real model nearest in size, else the self-test model.

        Raises ``Unavailable`` when there is no model at all.
        """
        return self._default(self.installed()).model

    def default_entry(self) -> CatalogEntry | None:
        """What the catalogue knows about the configured default model."""
        return self.data.find(self._default_name)

    def prepare_default(self, pull: Callable[[CatalogEntry], object]) -> tuple[InstalledModel, str | None]:
        """At start: the default model, pulled if it is missing, and the reason if another one must stand in for it.

        ``pull`` fetches an entry into the models folder, or raises ``PullFailed``. Raises ``UnsupportedModel`` for a
        configured name that means nothing.
        """
        present = self.find_installed(self._default_name)
        if present is not None:
            return present, None
        entry = self.default_entry()
        if entry is None or entry.bundled:
            raise UnsupportedModel(
                f"The default model {self._default_name!r} is neither installed nor in the catalogue. "
                "`whisperapi models list` shows the names.",
                parameter="default_model",
            )
        try:
            pull(entry)
        except PullFailed as failure:
            return self.default(), str(failure)
        return self.default(), None

    def resolve(self, name: str | None, language: str | None = "en") -> Resolution:
        """The model for a request. ``language`` is Whisper's code, or None if it is to be detected.

        Raises ``UnsupportedModel`` for unknown names (unless the policy maps them to the default), for names that are known
        but not installed, and for languages no suitable model here knows.
        """
        installed = self.installed()
        choice = self._choose((name or "").strip().lower(), language, installed)
        if not _serves(choice.model, language):
            choice = self._other_for_language(choice, language, installed)
        warnings = list(choice.warnings)
        code = None if language is None else known_code(language, choice.model.languages)
        if code != language:
            message = f"The model `{choice.model.info.name}` has no Cantonese; it was told the language is Chinese."
            warnings.append(RequestWarning("language", "language_substituted", message))
        if choice.model.is_selftest:
            warnings.append(self._selftest_warning())
        return Resolution(choice.model, code, tuple(warnings))

    def _choose(self, name: str, language: str | None, installed: Sequence[InstalledModel]) -> _Choice:
        if not name or name in self.data.default_aliases:
            return self._default(installed)
        model = self._named(name, installed)
        if model is not None:
            return _Choice(model, pinned=True)
        if name == "whisper" or name.startswith("whisper-"):
            return self._of_size(name, language, installed)
        if self.data.is_deepgram_name(name):
            return self._default(installed)
        if self._unknown_model == "default":
            return self._substitute(name, installed)
        raise UnsupportedModel(parameter="model")

    def _of_size(self, name: str, language: str | None, installed: Sequence[InstalledModel]) -> _Choice:
        """``whisper``, ``whisper-<size>``, and names of models with that prefix that are not here."""
        size = self.data.whisper_size if name == "whisper" else name.removeprefix("whisper-")
        names = [entry.name for entry in self.data.entries if entry.size == size]
        for model in installed:
            if model.info.name in names and _serves(model, language):
                return _Choice(model)
        if names or self.data.find(name) is not None or self._unknown_model == "default":
            return self._substitute(name, installed)
        raise UnsupportedModel(parameter="model")

    def _default(self, installed: Sequence[InstalledModel]) -> _Choice:
        present = self._named(self._default_name.lower(), installed)
        if present is not None:
            return _Choice(present)
        entry = self.default_entry()
        wanted_bytes = entry.size_bytes if entry else 0
        real = [model for model in installed if not model.is_selftest and not model.is_remote]
        if real:
            stand_in = min(real, key=lambda model: (not model.multilingual, abs(model.size_bytes - wanted_bytes)))
            return _Choice(stand_in, warnings=(self._substitution(self._default_name, stand_in),))
        selftest = next((model for model in installed if not model.is_remote), None)
        if selftest is None:
            raise Unavailable("No model is installed.")
        return _Choice(selftest)

    def _substitute(self, name: str, installed: Sequence[InstalledModel]) -> _Choice:
        model = self._default(installed).model
        return _Choice(model, warnings=(self._substitution(name, model),))

    def _other_for_language(self, choice: _Choice, language: str | None, installed: Sequence[InstalledModel]) -> _Choice:
        """Another real model that knows the language, nearest in size; the self-test model stands in for nothing."""
        able = [model for model in installed if not model.is_selftest and not model.is_remote and _serves(model, language)]
        if choice.pinned or not able:
            raise UnsupportedModel(parameter="language")
        model = min(able, key=lambda model: abs(model.size_bytes - choice.model.size_bytes))
        message = f"The model `{choice.model.info.name}` does not know the language; `{model.info.name}` was used."
        return _Choice(model, warnings=(RequestWarning("model", "model_substituted", message),))

    def _named(self, name: str, installed: Sequence[InstalledModel]) -> InstalledModel | None:
        entry = self.data.find(name)
        names = {name, name.removeprefix("ggml-").removesuffix(".bin")} | ({entry.name} if entry else set())
        return next((model for model in installed if {model.info.name.lower(), model.info.uuid} & names), None)

    def _substitution(self, name: str, used: InstalledModel) -> RequestWarning:
        entry = self.data.find(name) or self.data.find(name.removeprefix("whisper-"))
        shown = name[:_LONGEST_NAME_SHOWN]
        fix = f" `whisperapi models pull {entry.name}` installs it." if entry else ""
        message = f"The model `{shown}` is not installed; `{used.info.name}` was used.{fix}"
        return RequestWarning("model", "model_substituted", message)

    def _selftest_warning(self) -> RequestWarning:
        entry = self.default_entry()
        name = entry.name if entry and not entry.bundled else "base"
        message = (
            f"The built-in self-test model was used. It knows only {self.data.bundled.words} words of English, Spanish, "
            f"French and German and answers everything with them. `whisperapi models pull {name}` installs a real model."
        )
        return RequestWarning("model", "selftest_model", message)


def _serves(model: InstalledModel, language: str | None) -> bool:
    if language is None:
        return model.multilingual
    return known_code(language, model.languages) is not None
