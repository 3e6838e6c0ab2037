"""Resolve the files of ``requirements/`` from ``pyproject.toml``, for every supported Python and system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GROUPS = {"run": ["build-backend"], "dev": ["dev"]}


def main() -> None:
    """Write both files. Arguments are passed on to the resolver (for example ``--upgrade``)."""
    for name, groups in GROUPS.items():
        command = [sys.executable, "-m", "uv", "--quiet", "pip", "compile", "pyproject.toml"]
        command += [
            "--universal",
            "--python-version",
            "3.10",
            "--generate-hashes",
            "--no-emit-index-url",
            "--no-emit-find-links",
            "--no-header",
        ]
        command += [part for group in groups for part in ("--group", group)]
        command += ["--output-file", f"requirements/{name}.txt", *sys.argv[1:]]
        subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
