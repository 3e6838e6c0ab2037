from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.services.catalog_entries import BUNDLED_DIR, CATALOG_FILE, CatalogEntry, CatalogError, load_catalog

DATA = load_catalog()
PUBLISHED = [entry for entry in DATA.entries if not entry.bundled]
GGML = "ggerganov/whisper.cpp"


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry.name)
def test_every_entry_is_complete(entry: CatalogEntry) -> None:
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repo)
    assert re.fullmatch(r"ggml-[\w.-]+\.bin", entry.file)
    assert entry.file_name == f"ggml-{entry.name}.bin"
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert 25e6 < entry.size_bytes < 4e9
    assert entry.size_bytes / 1e6 < entry.ram_mb < 5_000
    assert entry.multilingual == (".en" not in entry.name and not entry.name.startswith("distil-"))
    assert ("yue" in entry.languages) == entry.name.startswith("large-v3")
    assert entry.translates == (entry.multilingual and "turbo" not in entry.name)
    assert (entry.sha1 is not None) == (entry.repo == GGML or entry.name == "small.en-tdrz")
    assert entry.version == entry.sha256[:12]


def test_no_checksum_stands_for_two_files() -> None:
    assert len({entry.sha256 for entry in DATA.entries}) == len(DATA.entries)
    published = [entry.sha1 for entry in DATA.entries if entry.sha1]
    assert len(set(published)) == len(published)


def test_names_and_aliases_are_unique_in_any_case() -> None:
    names = [name.lower() for entry in DATA.entries for name in (entry.name, *entry.aliases)] + list(DATA.default_aliases)

    assert len(set(names)) == len(names)


def test_the_models_of_whisper_cpps_repository_are_all_there() -> None:
    plain = "tiny tiny.en base base.en small small.en medium medium.en large-v1 large-v2 large-v3 large-v3-turbo"
    small = [f"{size}{en}-{q}" for size in ("tiny", "base", "small") for en in ("", ".en") for q in ("q5_1", "q8_0")]
    medium = [f"medium{en}-{q}" for en in ("", ".en") for q in ("q5_0", "q8_0")]
    large = "large-v2-q5_0 large-v2-q8_0 large-v3-q5_0 large-v3-turbo-q5_0 large-v3-turbo-q8_0"

    assert {entry.name for entry in PUBLISHED if entry.repo == GGML} == {*plain.split(), *small, *medium, *large.split()}


def test_distilled_and_speaker_turn_models_come_from_their_makers() -> None:
    others = {entry.name: entry.repo.split("/")[0] for entry in PUBLISHED if entry.repo != GGML}

    assert others == {
        "small.en-tdrz": "akashmjn",
        "distil-small.en": "distil-whisper",
        "distil-medium.en": "distil-whisper",
        "distil-large-v2": "distil-whisper",
        "distil-large-v3": "distil-whisper",
        "distil-large-v3.5": "distil-whisper",
    }


def test_the_readme_for_people_names_every_model_that_is_not_quantised() -> None:
    readme = (BUNDLED_DIR / "README.md").read_text(encoding="utf-8")
    plain = [entry.name for entry in DATA.entries if not re.search(r"-q\d", entry.name) and not entry.bundled]

    assert [name for name in plain if f"| `{name}` |" not in readme] == []
    assert f"{DATA.bundled.words} words" in readme
    assert DATA.bundled.sha256 in readme


def test_the_bundled_model_is_the_one_in_the_package() -> None:
    assert DATA.bundled.name == "selftest"
    assert DATA.bundled.languages == ("en", "es", "fr", "de")
    assert DATA.bundled.translates
    assert (BUNDLED_DIR / DATA.bundled.file_name).stat().st_size == DATA.bundled.size_bytes


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("base", "base"), ("BASE", "base"), ("ggml-base.bin", "base"), ("ggml-base", "base"),
        ("openai/whisper-base", "base"),
        ("Systran/faster-whisper-base", "base"), ("large", "large-v3"), ("turbo", "large-v3-turbo"),
        ("whisper-large-v3-turbo", "large-v3-turbo"), ("openai/whisper-large", "large-v1"),
        ("distil-whisper/distil-large-v3", "distil-large-v3"), ("whisper-base.en", "base.en"),
    ],
)  # fmt: skip
def test_aliases_and_file_names_lead_to_the_model(name: str, found: str) -> None:
    entry = DATA.find(name)

    assert entry is not None
    assert entry.name == found


@pytest.mark.parametrize("name", ["", "nova-3", "whisper", "bas", "ggml-base.bin.bin"])
def test_other_names_lead_nowhere(name: str) -> None:
    assert DATA.find(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "nova-3", "nova-3-general", "nova-3-medical", "nova-2", "nova-2-conversationalai", "nova-2-drivethru", "nova-2-atc",
        "nova", "nova-phonecall", "enhanced", "enhanced-finance", "base", "base-general", "base-video", "general", "meeting",
    ],
)  # fmt: skip
def test_deepgrams_families_and_variants_are_known(name: str) -> None:
    assert DATA.is_deepgram_name(name)


@pytest.mark.parametrize(
    "name", ["nova-9", "nova-", "novax", "base-q5_1", "base.en", "whisper-tiny", "aura-2", "", "my-nova-3"]
)
def test_other_names_are_not_taken_for_deepgrams(name: str) -> None:
    assert not DATA.is_deepgram_name(name)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name = "tiny"', 'name = "mini"'),
        ('sha1 = "bd577a113a864445d4c299885e0cb97d4ba92b5f"', 'sha1 = "bd577"'),
        ("size_bytes = 77_691_713", "size_bytes = 0"),
        ("ram_mb = 270", ""),
        ('languages = "whisper-v3"', 'languages = "klingon"'),
        ('languages = "whisper-v3"', 'languages = ["tlh"]'),
        ('aliases = ["turbo"', 'aliases = ["large"'),
        ('aliases = ["turbo"', 'aliases = ["whisper-1"'),
        ("bundled = true", 'repo = "a/b"'),
        ('families = ["nova-3"', 'family = ["nova-3"'),
    ],
)  # fmt: skip
def test_a_catalogue_that_contradicts_itself_is_refused(before: str, after: str, tmp_path: Path) -> None:
    text = CATALOG_FILE.read_text(encoding="utf-8")
    assert before in text
    path = tmp_path / "catalog.toml"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")

    with pytest.raises(CatalogError):
        load_catalog(path)
