"""Several real processes that do the same thing at the same moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def race(preparation: str, action: str, argument: str, count: int) -> list[str]:
    """Run ``action`` in ``count`` Python processes at once and return what each printed, stripped.

    Both texts are Python and find ``argument`` in ``sys.argv[1]``. Each process runs ``preparation`` (the slow imports) and
    says so; when all have, all are let go. Fails if one of them ends with an error.
    """
    code = f"import sys\n{preparation}\nprint('ready', flush=True)\nsys.stdin.readline()\n{action}\n"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, argument],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0] * count, [errors for _, errors in outputs]
    return [output.strip() for output, _ in outputs]
