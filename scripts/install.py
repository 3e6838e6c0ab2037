"""Install a locked requirements file, every hash checked, and then the project itself, into the running environment.

The build backend is part of the lock, so nothing is fetched that the lock does not name.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Install ``sys.argv[1]`` and the project in editable form."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", sys.argv[1]], cwd=ROOT, check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
