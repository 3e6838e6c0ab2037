"""Names and languages as OpenAI's clients write them -> what the catalogue and the engine are asked for."""

from __future__ import annotations

from app.domain.languages import whisper_language

_HOSTED_PREFIX = "gpt-"


def wanted_model(name: str | None) -> str | None:
    """The model to ask the catalogue for; None: the default, as for names with ``gpt-``, which run at OpenAI only."""
    if name is None or not name.strip() or name.strip().lower().startswith(_HOSTED_PREFIX):
        return None
    return name.strip()


def wanted_language(tag: str | None) -> str | None:
    """Whisper's code; None (absent, empty or ``auto``): detect it. Raises ``UnsupportedModel`` for what is no language."""
    if tag is None or tag.strip().lower() in ("", "auto"):
        return None
    return whisper_language(tag)
