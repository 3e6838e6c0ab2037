"""``session.update`` of a Realtime client, in either of its shapes -> the configuration from then on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.dialects.openai_realtime_session import (
    BETA_FORMATS,
    EAGERNESS_S,
    PCM_RATE,
    SessionConfig,
    Shape,
    TurnDetection,
)
from app.domain.errors import InvalidParameter
from app.domain.vocabulary import exceed_limit

Json = dict[str, Any]

LOGPROBS = "item.input_audio_transcription.logprobs"

MAX_PROMPT_CHARACTERS = 1000
"""Whisper reads the last 224 tokens of a prompt; splitting more into tokens would only cost time."""

MAX_SILENCE_MS = 600_000
MAX_PADDING_MS = 5000
"""A third of the longest segment: what is decoded before speech must leave room for speech."""

_BETA_NAMES = {beta: name for name, beta in BETA_FORMATS.items()}
_BETA_KEYS = frozenset(
    {"input_audio_format", "input_audio_transcription", "turn_detection", "input_audio_noise_reduction"}
)  # fmt: skip
_TELEPHONE_RATE = 8000
_PCM_RATES = (8000, 48_000)


def updated(config: SessionConfig, session: Json, *, is_beta: bool) -> tuple[SessionConfig, Shape | None]:
    """The configuration with what ``session`` names, and the shape that this is written in (None: it could be either).

    What is null is turned off; names that mean nothing to a transcription are ignored. Raises ``InvalidParameter``, with the
    path of the culprit.
    """
    if session.get("type", "transcription") != "transcription":
        raise InvalidParameter("This server has transcription sessions only.", parameter="session.type")
    config = _with_include(config, session)
    if is_beta or ("audio" not in session and _BETA_KEYS & session.keys()):
        return _with_beta(config, session), Shape.BETA
    audio = _object(session.get("audio"), "session.audio")
    shape = Shape.GENERAL if audio or "type" in session else None
    return _with_input(config, _object(audio.get("input"), "session.audio.input")), shape


def _with_beta(config: SessionConfig, session: Json) -> SessionConfig:
    if "input_audio_format" in session:
        name = _choice(session["input_audio_format"], tuple(_BETA_NAMES), "session.input_audio_format")
        config = _with_format(config, {"type": _BETA_NAMES[name]}, "session.input_audio_format")
    named = {
        "transcription": "input_audio_transcription",
        "turn_detection": "turn_detection",
        "noise_reduction": "input_audio_noise_reduction",
    }
    given = {name: session[key] for name, key in named.items() if key in session}
    return _with_settings(config, given, {name: f"session.{key}" for name, key in named.items()})


def _with_input(config: SessionConfig, given: Json) -> SessionConfig:
    if "format" in given:
        path = "session.audio.input.format"
        config = _with_format(config, _object(given["format"], path), path)
    names = ("transcription", "turn_detection", "noise_reduction")
    return _with_settings(config, given, {name: f"session.audio.input.{name}" for name in names})


def _with_format(config: SessionConfig, given: Json, path: str) -> SessionConfig:
    name = _choice(_given(given, "type", "audio/pcm"), tuple(BETA_FORMATS), f"{path}.type")
    if name != "audio/pcm":
        return replace(config, format=name, rate=_TELEPHONE_RATE)
    rate = _integer(_given(given, "rate", PCM_RATE), *_PCM_RATES, f"{path}.rate")
    return replace(config, format=name, rate=rate)


def _with_settings(config: SessionConfig, given: Json, paths: dict[str, str]) -> SessionConfig:
    if "transcription" in given:
        path = paths["transcription"]
        config = _with_transcription(config, given["transcription"], path)
    if "turn_detection" in given:
        config = replace(
            config,
            turn_detection=_turn_detection(config.turn_detection, given["turn_detection"], paths["turn_detection"]),
        )
    if "noise_reduction" in given:
        reduction = given["noise_reduction"]
        shown = None if reduction is None else _object(reduction, paths["noise_reduction"])
        config = replace(config, noise_reduction=shown)
    return config


def _with_transcription(config: SessionConfig, given: object, path: str) -> SessionConfig:
    if given is None:
        given = dict.fromkeys(("model", "language", "languages", "prompt", "keywords", "delay"))
    asked = _object(given, path)
    prompt = _text(asked.get("prompt", config.prompt), f"{path}.prompt") or ""
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        message = f"The prompt may have at most {MAX_PROMPT_CHARACTERS} characters."
        raise InvalidParameter(message, parameter=f"{path}.prompt")
    keywords = _texts(asked.get("keywords", config.keywords), f"{path}.keywords")
    if exceed_limit(keywords):
        raise InvalidParameter("The keywords are too many or too long.", parameter=f"{path}.keywords")
    return replace(
        config,
        model=_text(asked.get("model", config.model), f"{path}.model"),
        language=_text(asked.get("language", config.language), f"{path}.language"),
        languages=_texts(asked.get("languages", config.languages), f"{path}.languages"),
        prompt=prompt,
        keywords=keywords,
        delay=_text(asked.get("delay", config.delay), f"{path}.delay"),
    )


def _turn_detection(now: TurnDetection | None, given: object, path: str) -> TurnDetection | None:
    if given is None:
        return None
    asked = _object(given, path)
    if _choice(_given(asked, "type", "server_vad"), ("server_vad", "semantic_vad"), f"{path}.type") == "semantic_vad":
        eagerness = asked.get("eagerness")
        return TurnDetection(eagerness=_choice(eagerness or "auto", tuple(EAGERNESS_S), f"{path}.eagerness"))
    base = now if now is not None and now.eagerness is None else TurnDetection()
    return TurnDetection(
        _number(_given(asked, "threshold", base.threshold), 0.0, 1.0, f"{path}.threshold"),
        _integer(_given(asked, "prefix_padding_ms", base.padding_ms), 0, MAX_PADDING_MS, f"{path}.prefix_padding_ms"),
        _integer(_given(asked, "silence_duration_ms", base.silence_ms), 0, MAX_SILENCE_MS, f"{path}.silence_duration_ms"),
    )


def _with_include(config: SessionConfig, session: Json) -> SessionConfig:
    if "include" not in session:
        return config
    include = _texts(session["include"], "session.include")
    for name in include:
        _choice(name, (LOGPROBS,), "session.include")
    return replace(config, include=include)


def _given(asked: Json, name: str, otherwise: object) -> object:
    value = asked.get(name)
    return otherwise if value is None else value


def _object(value: object, path: str) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidParameter("An object was expected.", parameter=path)
    return value


def _text(value: object, path: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidParameter("A text was expected.", parameter=path)
    return value


def _texts(value: object, path: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise InvalidParameter("A list of texts was expected.", parameter=path)
    return tuple(value)


def _choice(value: object, allowed: tuple[str, ...], path: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise InvalidParameter(f"Expected one of {', '.join(allowed)}.", parameter=path)
    return value


def _integer(value: object, least: int, most: int, path: str) -> int:
    if type(value) is not int or not least <= value <= most:
        raise InvalidParameter(f"A whole number from {least} to {most} was expected.", parameter=path)
    return value


def _number(value: object, least: float, most: float, path: str) -> float:
    if type(value) not in (int, float) or not least <= float(value) <= most:  # type: ignore[arg-type]
        raise InvalidParameter(f"A number from {least:g} to {most:g} was expected.", parameter=path)
    return float(value)  # type: ignore[arg-type]
