from __future__ import annotations

import subprocess
import sys

import pytest

from app.engines import logits_hook, logits_probe
from app.engines.logits_probe import favours_terms, probe_key_terms


@pytest.mark.model
def test_the_installed_build_favours_terms_here_and_asked_from_outside() -> None:
    assert favours_terms()
    assert probe_key_terms() is True


@pytest.mark.model
def test_a_build_that_was_not_tested_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits_hook, "TESTED_BINDINGS", ())
    assert not favours_terms()


def test_a_probe_that_dies_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(-11, sys.executable)

    monkeypatch.setattr(logits_probe.subprocess, "run", die)
    assert probe_key_terms() is None
