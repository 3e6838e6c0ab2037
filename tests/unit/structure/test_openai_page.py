"""The page on OpenAI's routes is held to the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.openai_options import FIELDS, FORMATS, Field

PAGE = (Path(__file__).parents[3] / "docs" / "openai.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_is_in_the_table(field: Field) -> None:
    assert any(f"`{field.name}`" in line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))


@pytest.mark.parametrize("response_format", FORMATS)
def test_every_format_is_named(response_format: str) -> None:
    assert f"`{response_format}`" in PAGE


def test_fields_of_translations_are_named_together() -> None:
    (sentence,) = [line for line in PAGE.splitlines() if line.startswith("Translations read")]
    assert all(f"`{field.name}`" in sentence for field in FIELDS if field.translations)
    assert not any(f"`{field.name}`" in sentence for field in FIELDS if not field.translations)
