from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from app.domain.errors import Unavailable, UnsupportedModel
from app.domain.languages import WHISPER_LANGUAGES, WHISPER_V3_LANGUAGES
from app.services.catalog import Catalog, PullFailed, UnknownModelPolicy
from app.services.catalog_entries import CatalogEntry, load_catalog
from app.services.installed_models import model_uuid
from tests.support.weights import header_bytes, put_file, put_model, put_own_model

NOT_HERE = Path("no such folder")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def catalog_of(folder: Path, *names: str, default: str = "base", unknown: UnknownModelPolicy = "refuse") -> Catalog:
    for name in names:
        put_model(folder, name)
    return Catalog.open(folder, default, unknown)


def chosen(catalog: Catalog, name: str | None, language: str | None = "en") -> str:
    return catalog.resolve(name, language).model.info.name


def warnings_of(catalog: Catalog, name: str | None, language: str | None = "en") -> list[tuple[str, str]]:
    return [(warning.parameter, warning.type) for warning in catalog.resolve(name, language).warnings]


class TestInstalled:
    def test_the_self_test_model_is_always_there(self, folder: Path) -> None:
        (model,) = catalog_of(folder).installed()

        assert model.info.name == "selftest"
        assert model.is_selftest
        assert model.languages == ("en", "es", "fr", "de")
        assert model.multilingual
        assert model.translates
        assert model.path.is_file()

    def test_models_are_listed_in_the_catalogues_order_and_own_files_last(self, folder: Path) -> None:
        put_own_model(folder, "aardvark", header_bytes())
        catalog = catalog_of(folder, "large-v3-turbo", "base.en", "tiny")

        assert [model.info.name for model in catalog.installed()] == [
            "selftest", "tiny", "base.en", "large-v3-turbo", "aardvark",
        ]  # fmt: skip

    def test_a_known_model_has_the_catalogues_abilities(self, folder: Path) -> None:
        catalog = catalog_of(folder, "base", "base.en", "large-v3-turbo", "distil-large-v3")
        models = {model.info.name: model for model in catalog.installed()}

        assert models["base"].languages == WHISPER_LANGUAGES
        assert models["base"].translates
        assert models["base.en"].languages == ("en",)
        assert not models["base.en"].multilingual
        assert models["large-v3-turbo"].languages == WHISPER_V3_LANGUAGES
        assert not models["large-v3-turbo"].translates
        assert models["distil-large-v3"].languages == ("en",)  # though its vocabulary has language tokens

    @pytest.mark.parametrize(
        ("start", "languages", "translates"),
        [
            (header_bytes(51_864), ("en",), False),
            (header_bytes(51_865), WHISPER_LANGUAGES, True),
            (header_bytes(51_866, mels=128), WHISPER_V3_LANGUAGES, True),
        ],
    )
    def test_a_file_the_catalogue_does_not_know_is_what_its_header_says(
        self, start: bytes, languages: tuple[str, ...], translates: bool, folder: Path
    ) -> None:
        put_own_model(folder, "mine", start)
        model = catalog_of(folder).find_installed("mine")

        assert model is not None
        assert (model.languages, model.translates, model.is_selftest) == (languages, translates, False)

    def test_half_files_and_other_files_are_not_offered(self, folder: Path) -> None:
        put_model(folder, "base", share=0.5)
        put_model(folder, "small", share=0.98)
        put_own_model(folder, "mine", header_bytes(), share=0.9)
        put_file(folder / "ggml-tiny.bin", b"<!DOCTYPE html>" * 9, 77_691_713)
        put_file(folder / "ggml-empty.bin", b"", 0)
        put_file(folder / "ggml-base.bin.partial", header_bytes(), 147_951_465)
        (folder / "ggml-folder.bin").mkdir()

        assert [model.info.name for model in catalog_of(folder).installed()] == ["selftest"]

    def test_other_sizes_of_the_self_test_model_count_as_self_test_models(self, folder: Path) -> None:
        put_own_model(folder, "selftest-base", header_bytes())
        model = catalog_of(folder).find_installed("selftest-base")

        assert model is not None
        assert model.is_selftest
        assert model.languages == ("en", "es", "fr", "de")

    def test_a_model_that_arrives_or_goes_is_noticed(self, folder: Path) -> None:
        catalog = catalog_of(folder)
        path = put_model(folder, "base", share=0.5)
        assert catalog.find_installed("base") is None

        put_model(folder, "base")
        assert catalog.find_installed("base") is not None

        path.unlink()
        assert catalog.find_installed("base") is None

    def test_ids_are_stable_and_belong_to_the_name(self, folder: Path) -> None:
        base, small = (catalog_of(folder, "base", "small").find_installed(name) for name in ("base", "small"))

        assert base is not None
        assert small is not None
        assert UUID(base.info.uuid) == UUID("c8b5ac5f-f9da-547a-aec3-f58221733f88")
        assert base.info.uuid != small.info.uuid
        assert base.info.version == "60ed5bc3dd14"
        assert base.info.architecture == "whisper"


class TestNames:
    @pytest.mark.parametrize("name", [None, "", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"])
    def test_no_name_and_openais_names_mean_the_default(self, name: str | None, folder: Path) -> None:
        catalog = catalog_of(folder, "base", "small", default="small")

        assert chosen(catalog, name) == "small"
        assert warnings_of(catalog, name) == []

    @pytest.mark.parametrize("name", ["nova-3", "NOVA-3-Medical", "nova-2-phonecall", "enhanced", "base-general", "general"])
    def test_deepgrams_names_mean_the_default(self, name: str, folder: Path) -> None:
        catalog = catalog_of(folder, "tiny", "small", default="small")

        assert chosen(catalog, name) == "small"
        assert warnings_of(catalog, name) == []

    def test_base_is_our_base_where_it_is_installed_and_deepgrams_otherwise(self, folder: Path) -> None:
        assert chosen(catalog_of(folder, "small", default="small"), "base") == "small"
        assert chosen(catalog_of(folder, "base", default="small"), "base") == "base"

    @pytest.mark.parametrize(
        "name",
        ["tiny", "TINY", "ggml-tiny.bin", "ggml-tiny", "openai/whisper-tiny", "Systran/faster-whisper-tiny", "whisper-tiny"],
    )
    def test_an_installed_model_answers_to_all_its_names(self, name: str, folder: Path) -> None:
        catalog = catalog_of(folder, "tiny", "base")

        assert chosen(catalog, name) == "tiny"
        assert warnings_of(catalog, name) == []

    def test_an_installed_model_answers_to_its_id(self, folder: Path) -> None:
        assert chosen(catalog_of(folder, "tiny", "base"), model_uuid("tiny").upper()) == "tiny"

    def test_a_file_of_ones_own_answers_to_its_name(self, folder: Path) -> None:
        put_own_model(folder, "Klinik-v2", header_bytes())
        catalog = catalog_of(folder, "base")

        assert chosen(catalog, "klinik-v2") == "Klinik-v2"
        assert chosen(catalog, "ggml-Klinik-v2.bin") == "Klinik-v2"

    @pytest.mark.parametrize(
        ("installed", "name", "language", "model"),
        [
            (["medium", "small"], "whisper", "en", "medium"),
            (["medium-q5_0", "small"], "whisper-medium", "fr", "medium-q5_0"),
            (["medium-q8_0", "medium-q5_0"], "whisper-medium", "fr", "medium-q8_0"),
            (["large-v2", "large-v3-turbo"], "whisper-large", "en", "large-v3-turbo"),
            (["tiny.en", "tiny-q5_1"], "whisper-tiny", "en", "tiny-q5_1"),
            (["tiny.en"], "whisper-tiny", "en", "tiny.en"),
        ],
    )
    def test_a_whisper_size_is_the_first_installed_model_of_that_size_that_knows_the_language(
        self, installed: list[str], name: str, language: str, model: str, folder: Path
    ) -> None:
        catalog = catalog_of(folder, "base", *installed)

        assert chosen(catalog, name, language) == model
        assert warnings_of(catalog, name, language) == []

    @pytest.mark.parametrize("name", ["whisper", "whisper-large", "whisper-small", "whisper-large-v3", "Whisper-Medium"])
    def test_a_whisper_size_that_is_not_installed_is_the_default_with_a_warning(self, name: str, folder: Path) -> None:
        catalog = catalog_of(folder, "base")

        assert chosen(catalog, name) == "base"
        assert warnings_of(catalog, name) == [("model", "model_substituted")]

    def test_the_warning_names_the_command_that_installs_the_model(self, folder: Path) -> None:
        (warning,) = catalog_of(folder, "base").resolve("whisper-large-v3").warnings

        assert "whisperapi models pull large-v3" in warning.message

    @pytest.mark.parametrize(
        "name",
        [
            "nova-9",
            "small",
            "base-q5_1",
            "openai/whisper-small",
            "whisper-giant",
            "../base",
            "x" * 5000,
            model_uuid("small"),
        ],
    )
    def test_names_that_are_unknown_or_not_installed_are_refused(self, name: str, folder: Path) -> None:
        with pytest.raises(UnsupportedModel) as refused:
            catalog_of(folder, "base").resolve(name)

        assert refused.value.parameter == "model"
        assert refused.value.message == "No such model/language/tier combination found."

    @pytest.mark.parametrize("name", ["nova-9", "small", "whisper-giant", "x" * 5000])
    def test_they_are_the_default_with_a_warning_if_the_operator_says_so(self, name: str, folder: Path) -> None:
        catalog = catalog_of(folder, "base", unknown="default")
        resolution = catalog.resolve(name)

        assert resolution.model.info.name == "base"
        assert [warning.type for warning in resolution.warnings] == ["model_substituted"]
        assert len(resolution.warnings[0].message) < 300


class TestLanguages:
    def test_an_english_only_default_makes_way_for_a_multilingual_model_nearest_in_size(self, folder: Path) -> None:
        catalog = catalog_of(folder, "base.en", "large-v3", "small", default="base.en")

        assert chosen(catalog, "nova-3", "en") == "base.en"
        assert chosen(catalog, "nova-3", "fr") == "small"
        assert chosen(catalog, None, None) == "small"
        assert warnings_of(catalog, "nova-3", "fr") == [("model", "model_substituted")]

    @pytest.mark.parametrize("language", ["fr", None])
    def test_without_a_multilingual_model_another_language_is_refused(self, language: str | None, folder: Path) -> None:
        with pytest.raises(UnsupportedModel) as refused:
            catalog_of(folder, "base.en", default="base.en").resolve("nova-3", language)

        assert refused.value.parameter == "language"

    def test_an_english_only_model_asked_for_by_name_is_not_replaced(self, folder: Path) -> None:
        catalog = catalog_of(folder, "base.en", "small", default="small")

        with pytest.raises(UnsupportedModel):
            catalog.resolve("base.en", "fr")
        assert chosen(catalog, "base.en", "en") == "base.en"

    def test_languages_the_self_test_model_never_heard_are_refused(self, folder: Path) -> None:
        catalog = catalog_of(folder)

        assert chosen(catalog, "nova-3", "de") == "selftest"
        with pytest.raises(UnsupportedModel):
            catalog.resolve("nova-3", "it")

    def test_cantonese_is_itself_where_the_model_has_it_and_chinese_with_a_warning_elsewhere(self, folder: Path) -> None:
        catalog = catalog_of(folder, "base", "large-v3")

        assert catalog.resolve("large-v3", "yue").language == "yue"
        assert warnings_of(catalog, "large-v3", "yue") == []
        assert catalog.resolve("base", "yue").language == "zh"
        assert warnings_of(catalog, "base", "yue") == [("language", "language_substituted")]

    def test_the_language_is_passed_on_and_none_asks_for_detection(self, folder: Path) -> None:
        catalog = catalog_of(folder, "base")

        assert catalog.resolve("base", "fr").language == "fr"
        assert catalog.resolve("base", None).language is None


class TestDefault:
    def test_a_missing_default_is_stood_in_for_by_the_real_model_nearest_in_size(self, folder: Path) -> None:
        catalog = catalog_of(folder, "base.en", "tiny", "large-v3")

        assert catalog.default().info.name == "tiny"
        assert chosen(catalog, "nova-3") == "tiny"
        assert warnings_of(catalog, "nova-3") == [("model", "model_substituted")]

    def test_the_self_test_model_stands_in_last_and_every_answer_says_so(self, folder: Path) -> None:
        catalog = catalog_of(folder)

        for name in (None, "nova-3", "whisper-1", "selftest"):
            assert chosen(catalog, name) == "selftest"
            assert warnings_of(catalog, name) == [("model", "selftest_model")]
        (warning,) = catalog.resolve(None).warnings
        assert "232 words" in warning.message
        assert "whisperapi models pull base" in warning.message

    def test_the_warning_names_a_real_model_when_the_self_test_model_is_the_default(self, folder: Path) -> None:
        (warning,) = catalog_of(folder, default="selftest").resolve(None).warnings

        assert "whisperapi models pull base" in warning.message

    def test_without_any_model_the_server_is_unavailable(self, folder: Path) -> None:
        with pytest.raises(Unavailable):
            Catalog(load_catalog(), folder, bundled_dir=NOT_HERE).default()


class TestPrepareDefault:
    def test_a_present_default_is_not_pulled(self, folder: Path) -> None:
        model, reason = catalog_of(folder, "base").prepare_default(fail_to_pull)

        assert (model.info.name, reason) == ("base", None)

    @pytest.mark.parametrize("default", ["small", "openai/whisper-small", "ggml-small.bin"])
    def test_a_missing_default_is_pulled(self, default: str, folder: Path) -> None:
        pulled: list[str] = []

        def pull(entry: CatalogEntry) -> None:
            pulled.append(entry.name)
            put_model(folder, entry.name)

        model, reason = catalog_of(folder, "tiny", default=default).prepare_default(pull)

        assert (model.info.name, reason, pulled) == ("small", None, ["small"])

    def test_a_failed_pull_leaves_the_self_test_model_and_the_reason(self, folder: Path) -> None:
        model, reason = catalog_of(folder).prepare_default(fail_to_pull)

        assert model.is_selftest
        assert reason == "no network"

    def test_a_failed_pull_leaves_another_real_model_if_there_is_one(self, folder: Path) -> None:
        model, reason = catalog_of(folder, "tiny").prepare_default(fail_to_pull)

        assert (model.info.name, reason) == ("tiny", "no network")

    def test_a_default_that_means_nothing_ends_the_start(self, folder: Path) -> None:
        with pytest.raises(UnsupportedModel, match="bsae"):
            catalog_of(folder, default="bsae").prepare_default(fail_to_pull)

    def test_a_default_of_ones_own_is_found_by_its_file(self, folder: Path) -> None:
        put_own_model(folder, "clinic", header_bytes())

        model, reason = catalog_of(folder, default="clinic").prepare_default(fail_to_pull)

        assert (model.info.name, reason) == ("clinic", None)


def fail_to_pull(_entry: CatalogEntry) -> None:
    raise PullFailed("no network")
