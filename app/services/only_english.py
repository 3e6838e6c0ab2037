"""Languages that are left to the server, where its model knows English alone: then there is nothing to detect."""

from __future__ import annotations

from dataclasses import replace

from app.domain.errors import UnsupportedModel
from app.domain.options import LiveOptions, TranscribeOptions
from app.services.catalog import Catalog


def settled_recording(options: TranscribeOptions, catalog: Catalog) -> TranscribeOptions:
    """The options, in English if that is all the model knows. Blocking; raises ``UnsupportedModel`` for unknown models."""
    if options.detect_language and _knows_only_english(options.model, catalog):
        return replace(options, language="en", detect_language=False, detect_among=())
    return options


def settled_stream(options: LiveOptions, catalog: Catalog) -> LiveOptions:
    """The same for a live stream."""
    if options.code_switching and _knows_only_english(options.model, catalog):
        return replace(options, language="en", code_switching=False, language_hints=())
    return options


def _knows_only_english(model: str | None, catalog: Catalog) -> bool:
    try:
        catalog.resolve(model, None)
    except UnsupportedModel as error:
        if error.parameter != "language":
            raise
        catalog.resolve(model, "en")
        return True
    return False
