"""The container files, read without a container engine."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from cli.engine_build import TUNED_X86, WHEEL_INSTRUCTIONS

ROOT = Path(__file__).parents[2]
SPOOL = "/tmp"  # noqa: S108  the container's, where uploads wait
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest) of every line of the Dockerfile, continuation lines joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def of_kind(kind: str) -> list[str]:
    return [rest for word, rest in instructions() if word == kind]


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in of_kind("ENV") for pair in shlex.split(rest))


def sources() -> list[str]:
    return [source for rest in of_kind("COPY") if not rest.startswith("--from") for source in shlex.split(rest)[:-1]]


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def test_only_known_instructions_are_used() -> None:
    known = {
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "RUN",
        "USER",
        "VOLUME",
        "WORKDIR",
    }
    assert {word for word, _ in instructions()} == known


def test_every_copied_path_exists() -> None:
    assert sources()
    assert [source for source in sources() if not (ROOT / source).exists()] == []


def test_every_copied_path_is_let_into_the_build_context() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert "*" in rules
    assert set(sources()) | {"models/ggml-selftest.bin"} == let_in
    assert (ROOT / "models" / "ggml-selftest.bin").exists()


def test_every_package_of_the_wheel_is_copied() -> None:
    packages = re.search(r"^packages = \[(.*)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert packages is not None
    assert set(re.findall(r'"(\w+)"', packages[1])) <= set(sources())


@pytest.mark.parametrize("engine", ["cpu", "cuda"])
def test_every_stage_stands_on_an_image_or_an_earlier_stage(engine: str) -> None:
    stages: set[str] = set()
    for rest in of_kind("FROM"):
        base, word, name = rest.split(" ")
        assert word == "AS"
        resolved = base.replace("${ENGINE}", engine)
        assert resolved in stages or ":" in resolved, f"{name} stands on {resolved}"
        stages.add(name)
    assert {f"build-{engine}", f"run-{engine}", "run"} <= stages
    assert all(
        rest.split(" ")[0].removeprefix("--from=") in stages for rest in of_kind("COPY") if rest.startswith("--from=")
    )


def test_the_image_does_not_run_as_root() -> None:
    [user] = of_kind("USER")
    assert user not in ("root", "0")
    words = [word for word, _ in instructions()]
    assert words.index("USER") > max(index for index, word in enumerate(words) if word in ("RUN", "COPY"))


def test_the_image_listens_where_it_says() -> None:
    settings = {name: value for name, value in environment().items() if name.startswith("WHISPERAPI_")}
    assert {name.removeprefix("WHISPERAPI_").lower() for name in settings} <= set(Settings.model_fields)
    assert settings["WHISPERAPI_HOST"] == "0.0.0.0"
    assert of_kind("EXPOSE") == [settings["WHISPERAPI_PORT"]] == [str(Settings.model_fields["port"].default)]


def test_data_and_models_are_volumes() -> None:
    [volumes] = of_kind("VOLUME")
    assert json.loads(volumes) == [environment()["WHISPERAPI_DATA_DIR"], environment()["WHISPERAPI_MODELS_DIR"]]


def test_the_health_check_is_a_program_that_compiles_and_asks_for_health() -> None:
    [check] = of_kind("HEALTHCHECK")
    python, flag, program = json.loads(check.partition("CMD ")[2])
    assert (python, flag) == ("python3", "-c")
    compile(program, "HEALTHCHECK", "exec")
    assert "'/health'" in program


def test_all_of_the_lock_is_installed_with_hashes() -> None:
    installs = [step for rest in of_kind("RUN") for step in re.findall(r"/pip install[^&]*", rest)]
    assert len(installs) == 4
    assert all("--require-hashes" in step for step in installs if not step.rstrip().endswith(" ."))


def test_the_engines_pin_is_found_in_the_lock_as_the_build_looks_for_it() -> None:
    lock = (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")
    block = re.search(r"^pywhispercpp==.*?^    # via", lock, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert len(re.findall(r"^\S+==", block[0], re.MULTILINE)) == 1


@pytest.mark.parametrize("argument", sorted({rest.split("=")[0] for rest in of_kind("ARG")}))
def test_every_build_argument_is_documented(argument: str) -> None:
    assert f"`{argument}`" in OPERATIONS


def test_compose_builds_both_engines_and_sets_known_settings() -> None:
    services = compose()["services"]
    assert set(services) == {"whisperapi", "whisperapi-gpu"}
    assert services["whisperapi-gpu"]["profiles"] == ["gpu"]
    for service in services.values():
        assert set(service["build"].get("args", {})) <= {rest.split("=")[0] for rest in of_kind("ARG")}
        names = {name.removeprefix("WHISPERAPI_").lower() for name in service["environment"]}
        assert names <= set(Settings.model_fields)
        assert {volume.split(":")[0] for volume in service["volumes"]} == set(compose()["volumes"])
        assert {volume.split(":")[1] for volume in service["volumes"]} == {*json.loads(of_kind("VOLUME")[0]), SPOOL}


def test_compose_gives_the_server_longer_to_stop_than_it_gives_its_requests() -> None:
    for service in compose()["services"].values():
        assert int(service["stop_grace_period"].removesuffix("s")) > Settings.model_fields["shutdown_timeout_s"].default


def test_the_engine_is_compiled_with_the_flags_of_an_engine_build() -> None:
    assert environment()["X86_64_FLAGS"] == f"{TUNED_X86} {WHEEL_INSTRUCTIONS}"
    builds = [rest for rest in of_kind("RUN") if "--no-binary" in rest]
    assert len(builds) == 2
    assert all('[ "$(uname -m)" = x86_64 ]; then export CMAKE_CXX_FLAGS="${X86_64_FLAGS}"' in rest for rest in builds)
