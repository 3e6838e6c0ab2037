"""The filter on memory of our own; the binding itself is met in tests/model."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.engines import logits_hook
from app.engines.logits_hook import LogitsFilter, LogitsHook, TokenSpace

SPACE = TokenSpace(vocabulary=16, longest=8, banned=15)


class _Token(ctypes.Structure):
    _fields_ = (("id", ctypes.c_int32), ("rest", ctypes.c_byte * 52))


class Step:
    """What the library would pass: tokens said, and logits of which the last is ruled out."""

    def __init__(self, *said: int) -> None:
        self.logits = np.zeros(16, np.float32)
        self.logits[15] = -np.inf
        self._tokens = (_Token * max(1, len(said)))(*(_Token(token) for token in said))
        self.count = len(said)

    def call(self, called: LogitsFilter, *, tokens: bool = True, logits: bool = True, count: int | None = None) -> None:
        where = ctypes.addressof(self._tokens) if tokens and self.count else None
        called(None, None, where, self.count if count is None else count, self.logits.ctypes.data if logits else None, None)


class Lifter:
    def __init__(self) -> None:
        self.saw: list[list[int]] = []

    def __call__(self, said: list[int], logits: NDArray[np.float32]) -> None:
        self.saw.append(said)
        logits[3] += 2.0


def test_the_newest_tokens_are_read_and_the_logits_changed_in_place() -> None:
    lifter, step = Lifter(), Step(7, 8, 9)
    step.call(LogitsFilter(SPACE, lifter, newest=2))
    assert lifter.saw == [[8, 9]]
    assert step.logits[3] == 2.0
    assert not step.logits[:3].any()


def test_before_the_first_token_nothing_is_read() -> None:
    lifter = Lifter()
    Step().call(LogitsFilter(SPACE, lifter, newest=2))
    assert lifter.saw == [[]]


@pytest.mark.parametrize("odd", ["no logits", "no tokens", "too many", "negative", "unknown id", "not ruled out"])
def test_one_odd_call_ends_it_with_the_logits_untouched(odd: str) -> None:
    lifter = Lifter()
    called = LogitsFilter(SPACE, lifter, newest=2)
    step = Step(99) if odd == "unknown id" else Step(1)
    if odd == "not ruled out":
        step.logits[15] = 0.0
    count = {"too many": 9, "negative": -1}.get(odd)
    before = step.logits.copy()
    step.call(called, tokens=odd != "no tokens", logits=odd != "no logits", count=count)
    Step(1).call(called)
    assert called.is_broken
    assert lifter.saw == []
    assert np.array_equal(step.logits, before)


def test_a_failure_inside_never_reaches_the_library() -> None:
    def fail(said: list[int], logits: NDArray[np.float32]) -> None:
        raise RuntimeError

    called = LogitsFilter(SPACE, fail, newest=1)
    Step(1).call(called)
    assert called.is_broken


class Parameters:
    """Looks nothing like the binding's."""

    n_threads = 0


def test_parameters_of_another_shape_have_no_hook() -> None:
    binding = SimpleNamespace(assign_logits_filter_callback=lambda *_: None, clear_logits_filter_callback=lambda *_: None)
    assert LogitsHook.find(binding, Parameters(), SPACE) is None  # type: ignore[arg-type]


def test_a_binding_that_was_not_tested_has_no_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits_hook, "TESTED_BINDINGS", ())

    def touch(*_: object) -> None:
        raise AssertionError

    binding = SimpleNamespace(assign_logits_filter_callback=touch, clear_logits_filter_callback=touch)
    assert LogitsHook.find(binding, Parameters(), SPACE) is None  # type: ignore[arg-type]


def test_an_unmapped_address_is_no_crash() -> None:
    assert logits_hook.peek(8, 16) is None


def test_a_build_of_a_tested_version_counts_as_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits_hook.metadata, "version", lambda _: "1.5.1+native")
    assert logits_hook.environment_problem() is None
    monkeypatch.setattr(logits_hook.metadata, "version", lambda _: "9.9.9+native")
    assert logits_hook.environment_problem() is not None
