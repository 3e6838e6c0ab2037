"""The probe where it must not touch anything; what it measures is in tests/model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.engines import logits_hook
from app.engines.silence_probe import SilenceProbe


class Fake:
    """No object of the binding's: nothing of what is looked for stands in its memory."""

    __slots__ = ("first", "second", "third")


def binding(**given: Any) -> Any:
    sizes = (
        "vocab",
        "audio_ctx",
        "audio_state",
        "audio_head",
        "audio_layer",
        "text_ctx",
        "text_state",
        "text_head",
        "text_layer",
    )
    return SimpleNamespace(**{f"whisper_model_n_{size}": lambda _: 77 for size in sizes}, **given)


def test_a_context_that_does_not_look_like_one_is_not_asked() -> None:
    fake = Fake()
    fake.first, fake.second, fake.third = 1, 2, 3
    assert SilenceProbe.find(binding(), fake) is None


def test_an_untested_binding_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits_hook, "TESTED_BINDINGS", ())
    assert SilenceProbe.find(None, object()) is None  # type: ignore[arg-type]


def test_a_binding_that_lacks_a_function_costs_no_more_than_the_figure() -> None:
    assert SilenceProbe.find(SimpleNamespace(), [1, 2, 3]) is None  # type: ignore[arg-type]
