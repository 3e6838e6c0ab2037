"""``whisperapi wyoming`` in a process of its own, on the self-test model."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.running_server import PATIENCE_S, PROGRAM, ROOT


@contextmanager
def running_wyoming(data: Path, uri: str = "tcp://127.0.0.1:0") -> Iterator[str]:
    """Where it listens. SIGTERM at the end must make it exit with 0; raises ``CalledProcessError`` if it ends by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WHISPERAPI_")}
    environment |= {"WHISPERAPI_DATA_DIR": str(data), "WHISPERAPI_DEFAULT_MODEL": "selftest", "HF_HUB_OFFLINE": "1"}
    command = [*PROGRAM, "wyoming", "--uri", uri, "--workers", "2", "--threads", "1"]
    log = data / "wyoming.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield _wait_until_ready(process, log)
        process.send_signal(signal.SIGTERM)
        status = process.wait(PATIENCE_S)
        assert status == 0, f"exit status {status}:\n{log.read_text(encoding='utf-8')}"
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        status = process.poll()
        said = log.read_text(encoding="utf-8")
        if status is not None:
            raise subprocess.CalledProcessError(status, "whisperapi wyoming", said)
        if (listening := re.search(r"speaks Wyoming on (\S+)", said)) is not None:
            return listening[1]
        time.sleep(0.05)
    raise AssertionError(f"the server did not become ready:\n{log.read_text(encoding='utf-8')}")
