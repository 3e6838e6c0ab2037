from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import engine, engine_build
from cli.engine import judge
from cli.engine_build import (
    COMMON,
    OPTIONS,
    TUNED_X86,
    WHEEL_INSTRUCTIONS,
    Flavour,
    build_environment,
    missing_tools,
    version_of,
)
from cli.engine_trial import Trial
from cli.engine_wheel import keep_published, kept_wheel
from cli.main import app

NATIVE = frozenset({Flavour.NATIVE})
TOOLS = {"g++", "nvcc", "glslc", "pkg-config"}


def all_but(*missing: str) -> engine_build.Which:
    return lambda name: f"/usr/bin/{name}" if name in TOOLS - set(missing) else None


def installed(folder: Path, version: str = "1.5.1") -> Distribution:
    """A package as an installer leaves it, with a script outside and caches."""
    files = {
        "_pywhispercpp.so": "machine code",
        "pywhispercpp/__init__.py": "",
        "pywhispercpp/__pycache__/__init__.pyc": "cache",
        "pywhispercpp-1.5.1.dist-info/METADATA": f"Metadata-Version: 2.1\nName: pywhispercpp\nVersion: {version}\n",
        "pywhispercpp-1.5.1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
        "pywhispercpp-1.5.1.dist-info/INSTALLER": "pip",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    record = [*files, "../../bin/pwcpp", "pywhispercpp-1.5.1.dist-info/RECORD"]
    (folder / "pywhispercpp-1.5.1.dist-info/RECORD").write_text("".join(f"{name},,\n" for name in record))
    return PathDistribution(folder / "pywhispercpp-1.5.1.dist-info")


class TestTheWayBack:
    def test_the_installed_package_becomes_a_wheel_again(self, tmp_path: Path) -> None:
        kept = keep_published(tmp_path / "kept", installed(tmp_path / "site"))
        assert kept == tmp_path / "kept" / "pywhispercpp-1.5.1-py3-none-any.whl"
        assert kept_wheel(tmp_path / "kept") == kept
        with zipfile.ZipFile(kept) as wheel:
            assert set(wheel.namelist()) == {
                "_pywhispercpp.so",
                "pywhispercpp/__init__.py",
                *(f"pywhispercpp-1.5.1.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD")),
            }
            record = wheel.read("pywhispercpp-1.5.1.dist-info/RECORD").decode()
        assert "_pywhispercpp.so,sha256=" in record
        assert record.endswith("pywhispercpp-1.5.1.dist-info/RECORD,,\n")

    def test_pip_takes_it(self, tmp_path: Path) -> None:
        kept = keep_published(tmp_path / "kept", installed(tmp_path / "site"))
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path / "new")]
        subprocess.run([*command, str(kept)], check=True, capture_output=True)
        assert (tmp_path / "new" / "_pywhispercpp.so").read_text() == "machine code"

    def test_what_was_built_here_is_no_way_back(self, tmp_path: Path) -> None:
        assert keep_published(tmp_path / "kept", installed(tmp_path / "site", "1.5.1+native")) is None
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept" / "pywhispercpp-1.5.1+native-py3-none-any.whl").touch()
        assert kept_wheel(tmp_path / "kept") is None

    def test_a_file_that_is_gone_stops_it(self, tmp_path: Path) -> None:
        package = installed(tmp_path / "site")
        (tmp_path / "site/_pywhispercpp.so").unlink()
        with pytest.raises(OSError, match="_pywhispercpp"):
            keep_published(tmp_path / "kept", package)
        assert kept_wheel(tmp_path / "kept") is None

    def test_without_a_kept_wheel_the_command_that_fetches_one_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "kept_folder", lambda: tmp_path)
        result = CliRunner().invoke(app, ["engine", "restore"])
        assert result.exit_code == 1
        assert "pip install --force-reinstall" in result.output

    def test_the_kept_wheel_is_installed_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        taken: list[Path] = []
        kept = keep_published(tmp_path, installed(tmp_path / "site"))
        monkeypatch.setattr(engine, "kept_folder", lambda: tmp_path)
        monkeypatch.setattr(engine, "install_wheel", taken.append)
        assert CliRunner().invoke(app, ["engine", "restore"]).exit_code == 0
        assert taken == [kept]


class TestWhatABuildNeeds:
    def test_with_every_tool_nothing_is_missing(self) -> None:
        assert missing_tools(Flavour, {}, all_but()) == []

    @pytest.mark.parametrize(
        ("tool", "flavour"),
        [
            ("g++", Flavour.NATIVE),
            ("nvcc", Flavour.CUDA),
            ("glslc", Flavour.VULKAN),
            ("pkg-config", Flavour.BLAS),
        ],
    )
    def test_each_missing_tool_gets_a_sentence(self, tool: str, flavour: Flavour) -> None:
        [problem] = missing_tools([flavour], {}, all_but(tool))
        assert "not found" in problem or "was found" in problem
        assert missing_tools([Flavour.NATIVE], {}, all_but("nvcc", "glslc", "pkg-config")) == []

    def test_the_operators_compiler_counts(self) -> None:
        named: engine_build.Which = lambda name: name if name == "my-compiler" else None  # noqa: E731
        assert missing_tools(NATIVE, {"CXX": "my-compiler"}, named) == []

    def test_the_processor_alone_and_a_gpu_exclude_each_other(self) -> None:
        result = CliRunner().invoke(app, ["engine", "build", "--native", "--cuda"])
        assert result.exit_code == 1
        assert "--native" in result.output

    def test_the_command_ends_before_anything_is_built(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def never(*_: object) -> Path:
            raise AssertionError("it was built")

        monkeypatch.setattr(engine, "missing_tools", lambda *_: ["No C++ compiler was found."])
        monkeypatch.setattr(engine, "build_wheel", never)
        result = CliRunner().invoke(app, ["engine", "build"])
        assert result.exit_code == 1
        assert "No C++ compiler was found." in result.output


class TestBuildEnvironment:
    def test_a_build_is_one_module_and_carries_its_name(self) -> None:
        made = build_environment([Flavour.BLAS, Flavour.CUDA], "1.5.1+blas.cuda", {})
        names = {"PYWHISPERCPP_VERSION": "1.5.1+blas.cuda", "SETUPTOOLS_SCM_PRETEND_VERSION": "1.5.1+blas.cuda"}
        assert made == {**OPTIONS[Flavour.BLAS], **OPTIONS[Flavour.CUDA], **COMMON, **names}

    @pytest.mark.parametrize(
        ("machine", "lacking", "expected"), [("x86_64", (), "OFF"), ("x86_64", ("avx2",), "ON"), ("aarch64", (), "ON")]
    )
    def test_the_processors_own_instructions_are_used_where_the_wheels_do_not_fit(
        self, machine: str, lacking: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine_build.platform, "machine", lambda: machine)
        monkeypatch.setattr(engine_build, "lacking_features", lambda: lacking)
        made = build_environment([Flavour.NATIVE], "1", {})
        assert (made["GGML_NATIVE"], made["GGML_LLAMAFILE"]) == (expected, "ON")
        assert build_environment([Flavour.NATIVE, Flavour.CUDA], "1", {})["GGML_NATIVE"] == "ON"

    @pytest.mark.parametrize(
        ("system", "machine", "lacking", "expected"),
        [
            ("posix", "x86_64", (), f"{TUNED_X86} {WHEEL_INSTRUCTIONS} -g"),
            ("posix", "x86_64", ("avx2",), f"{TUNED_X86} -g"),
            ("posix", "aarch64", (), "-g"),
            ("nt", "AMD64", (), "-g"),
        ],
    )
    def test_x86_is_tuned_and_the_operators_flags_come_last(
        self, system: str, machine: str, lacking: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine_build.os, "name", system)
        monkeypatch.setattr(engine_build.platform, "machine", lambda: machine)
        monkeypatch.setattr(engine_build, "lacking_features", lambda: lacking)
        assert build_environment([Flavour.NATIVE], "1", {"CMAKE_CXX_FLAGS": "-g"})["CMAKE_CXX_FLAGS"] == expected

    def test_only_what_concerns_the_build_is_passed_on(self) -> None:
        given = {"PATH": "/bin", "https_proxy": "p", "CMAKE_CUDA_ARCHITECTURES": "89", "SECRET": "s", "PIP_INDEX_URL": "i"}
        made = build_environment([Flavour.CUDA], "1", given)
        assert {name: made.get(name) for name in given} == {**given, "SECRET": None}

    def test_versions_name_the_flavours_in_order(self) -> None:
        assert version_of("1.5.1", [Flavour.NATIVE, Flavour.BLAS]) == "1.5.1+blas.native"
        assert version_of("1.5.1+native", [Flavour.CUDA]) == "1.5.1+cuda"


class TestVerdict:
    OLD = Trial("Hello.", 1.0, ())

    def test_a_faster_build_with_the_same_words_is_taken(self) -> None:
        told, keep = judge([(self.OLD, Trial("Hello.", 0.7, ()))], NATIVE, force=False)
        assert keep
        assert "0.70 x" in told

    @pytest.mark.parametrize(
        "new",
        [Trial("Hello.", 0.99, ()), Trial("Hello.", 1.3, ()), Trial("Yellow.", 0.5, ())],
        ids=["same", "slower", "words"],
    )
    def test_others_only_by_force(self, new: Trial) -> None:
        assert not judge([(self.OLD, new)], NATIVE, force=False)[1]
        assert judge([(self.OLD, new)], NATIVE, force=True)[1]

    def test_one_that_does_not_load_is_never_taken(self) -> None:
        assert not judge([(self.OLD, None)], NATIVE, force=True)[1]

    def test_a_gpu_build_must_find_a_gpu(self) -> None:
        fast = Trial("Hello.", 0.1, ())
        assert not judge([(self.OLD, fast)], frozenset({Flavour.CUDA}), force=False)[1]
        assert judge([(self.OLD, Trial("Hello.", 0.1, ("CUDA0",)))], frozenset({Flavour.CUDA}), force=False)[1]

    def test_a_broken_engine_is_replaced(self) -> None:
        assert judge([(None, self.OLD)], NATIVE, force=False)[1]


def test_a_failed_build_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> Path:
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setenv("WHISPERAPI_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(engine, "missing_tools", lambda *_: [])
    monkeypatch.setattr(engine, "build_wheel", fail)
    result = CliRunner().invoke(app, ["engine", "build"])
    assert result.exit_code == 1
    assert "Nothing was changed" in result.output
