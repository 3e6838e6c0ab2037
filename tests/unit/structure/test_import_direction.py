"""Who may import whom (docs/architecture.md). Read from the source, so nothing is imported to find out."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("app", "cli")

LAYERS = {
    "app.domain": set(),
    "app.engines": {"app.domain"},
    "app.diarization": {"app.domain"},
    "app.audio": {"app.domain"},
    "app.storage": {"app.domain"},
    "app.outbound": {"app.domain", "app.outbound_addresses", "app.outbound_pinned"},
    "app.outbound_addresses": {"app.domain"},
    "app.outbound_pinned": {"app.domain", "app.outbound_addresses"},
    "app.outbound_callbacks": {"app.domain", "app.outbound_addresses", "app.outbound_pinned"},
    "app.outbound_live": {"app.domain", "app.outbound_addresses", "app.outbound_pinned", "app.outbound_callbacks"},
    "app.hub": {"app.domain"},
    "app.intelligence": {"app.domain"},
    "app.dialects": {"app.domain"},
    "app.services": {"app.domain"},
    "app.telemetry": {"app.domain"},
    "app.settings": {"app.settings_backends"},
    "app.settings_backends": set(),
    "app.api": {"app.domain", "app.services", "app.dialects", "app.settings", "app.telemetry"},
    "app.wyoming": {"app.domain", "app.services", "app.dialects"},
    "app.wiring": {
        "app.domain", "app.services", "app.engines", "app.diarization", "app.audio", "app.storage", "app.outbound",
        "app.outbound_callbacks", "app.outbound_live", "app.hub", "app.settings", "app.telemetry", "app.intelligence",
    },
    "app.main": {"app.api", "app.services", "app.settings", "app.telemetry"},
    "cli": {
        "app.domain", "app.services", "app.dialects", "app.settings", "app.telemetry", "app.wiring", "app.main", "app.hub",
        "app.storage", "app.engines", "app.audio", "app.wyoming",
    },
}  # fmt: skip
"""Package -> packages it may import beside itself. ``telemetry`` may be used by everything above the domain."""

PURE_MODULES = {
    "__future__", "ast", "bisect", "collections", "contextlib", "dataclasses", "datetime", "enum", "functools", "heapq",
    "glin_profanity", "itertools", "json", "math", "numpy", "operator", "pathlib", "phonenumbers", "rapidfuzz", "re",
    "text_to_num", "types", "typing", "unicodedata", "uuid", "zlib",
}  # fmt: skip


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append((".".join(parts).removesuffix(".__init__"), path))
    return found


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path.name} imports relatively"
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer_of(module: str) -> str | None:
    return next((layer for layer in LAYERS if module == layer or module.startswith(f"{layer}.")), None)


@pytest.mark.parametrize(("module", "path"), modules())
def test_imports_point_downwards(module: str, path: Path) -> None:
    layer = layer_of(module)
    if module == "app":
        return
    assert layer is not None, f"{module} belongs to no layer"
    reached = {target for name in imports(path) if (target := layer_of(name)) is not None and target != layer}
    allowed = LAYERS[layer] | ({"app.telemetry"} if layer != "app.domain" else set())
    assert reached <= allowed, f"{module} may not import {sorted(reached - allowed)}"


def test_only_one_module_knows_the_binding() -> None:
    users = {module for module, path in modules() if any("pywhispercpp" in name for name in imports(path))}
    assert users == {"app.engines.whisper_cpp"}


def test_the_domain_uses_the_standard_library_and_numpy_alone_without_io_or_clock() -> None:
    for module, path in modules():
        if layer_of(module) == "app.domain":
            roots = {name.partition(".")[0] for name in imports(path)} - {"app"}
            assert roots <= PURE_MODULES, f"{module} imports {sorted(roots - PURE_MODULES)}"
            assert "async def" not in path.read_text(encoding="utf-8") or module == "app.domain.ports"


def test_no_module_is_longer_than_400_lines() -> None:
    long = {module: count for module, path in modules() if (count := len(path.read_text().splitlines())) > 400}
    assert not long
