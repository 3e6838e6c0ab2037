"""Write the generated tables of the documentation: settings and query parameters, from the code that uses them."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

from app.dialects.deepgram_messages import MESSAGES
from app.dialects.deepgram_parameters import PARAMETERS, Parameter
from app.settings import Settings
from tests.support.parameter_cases import MESSAGES as MESSAGE_TESTS
from tests.support.parameter_cases import shown_by

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN = "<!-- generated: make docs -->"
END = "<!-- end -->"


def render_configuration() -> str:
    """One row for each setting: environment variable, default, reason."""
    reasons = _attribute_docstrings(Settings)
    rows = ["| variable | default | what it is for |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "in the user's data folder" if field.default_factory is not None else _shown(field.default)
        rows.append(f"| `WHISPERAPI_{name.upper()}` | {default} | {reasons[name]} |")
    return "\n".join(rows)


def render_compatibility() -> str:
    """One row for each query parameter of ``/v1/listen``, Deepgram's first, then our own; then one for each live message."""
    rows = ["| parameter | recordings | live | how | shown by |", "| --- | --- | --- | --- | --- |"]
    rows += [_row(parameter) for parameter in sorted(PARAMETERS, key=lambda parameter: parameter.ours)]
    rows += ["", "## Live messages", "", "| message | from | what happens | shown by |", "| --- | --- | --- | --- |"]
    for message in MESSAGES:
        sender = "client" if message.from_client else "server"
        name = message.name if " " in message.name else f"`{message.name}`"
        rows.append(f"| {name} | {sender} | {message.note} | {_test(MESSAGE_TESTS[message.name])} |")
    return "\n".join(rows)


GENERATED = {"configuration.md": render_configuration, "compatibility.md": render_compatibility}


def _row(parameter: Parameter) -> str:
    repeatable = " Repeatable." if parameter.repeatable else ""
    ours = " This server's own." if parameter.ours else ""
    live = (parameter.live or parameter.support).value
    tests = dict.fromkeys(_test(shown_by(parameter.name, live=is_live)) for is_live in (False, True))
    shown = ", ".join(tests)
    return f"| `{parameter.name}` | {parameter.support.value} | {live} | {parameter.note}{repeatable}{ours} | {shown} |"


def _test(node: str) -> str:
    """A link to the file of a test, named after both."""
    path, _, name = node.partition("::")
    return f"[{Path(path).stem.removeprefix('test_')}: {name.partition('[')[0].removeprefix('test_')}](../{path})"


def _shown(default: Any) -> str:
    if default in ("", None, ()):
        return "none"
    if isinstance(default, tuple):
        default = ",".join(default)
    if isinstance(default, bool):
        default = str(default).lower()
    return f"`{default}`"


def _attribute_docstrings(cls: type) -> dict[str, str]:
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - what getsource of a class parses to
    found = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and is_text:
            found[statement.target.id] = re.sub(r"``", "`", " ".join(str(following.value.value).split()))
    return found


def main() -> None:
    """Replace what stands between the markers of each page."""
    for page, render in GENERATED.items():
        path = DOCS / page
        before, _, rest = path.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
        _, _, after = rest.partition(f"\n{END}")
        path.write_text(f"{before}{BEGIN}\n{render()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
