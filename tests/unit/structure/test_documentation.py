"""The documentation is held to the code."""

import re
from pathlib import Path

import pytest

from app import __version__
from app.dialects.deepgram_parameters import PARAMETERS
from app.settings import Settings
from scripts.write_docs import GENERATED, render_compatibility, render_configuration

DOCS = Path(__file__).parents[3] / "docs"
ROOT = DOCS.parent


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert f"`WHISPERAPI_{name.upper()}`" in text


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_says_what_it_is_for(name: str) -> None:
    assert f"`WHISPERAPI_{name.upper()}` | " in render_configuration()


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_every_query_parameter_is_on_the_compatibility_page(parameter: object) -> None:
    text = (DOCS / "compatibility.md").read_text(encoding="utf-8")
    assert f"| `{parameter.name}` | {parameter.support.value} | {(parameter.live or parameter.support).value} |" in text  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", sorted(GENERATED))
def test_generated_tables_are_up_to_date(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    table = {"configuration.md": render_configuration, "compatibility.md": render_compatibility}[page]()
    assert table in text, "run `make docs`"


def test_the_changelog_knows_the_version() -> None:
    if __version__ != "0+source":
        assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_readme_names_the_two_commands_first() -> None:
    first = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:60])
    assert "make run" in first
    assert "make test" in first


def test_decision_records_are_numbered_and_have_a_status() -> None:
    records = sorted((DOCS / "decisions").glob("*.md"))
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == list(range(1, len(records) + 1))
    assert all(re.search(r"^Status: (proposed|accepted|superseded)", record.read_text(), re.MULTILINE) for record in records)
