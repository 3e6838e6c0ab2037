"""A real server for vendors' clients: its own process, its own folder, the self-test model, no internet."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.http_servers import file_server

ROOT = Path(__file__).parents[2]
CLIPS = (ROOT / "tests" / "audio", ROOT / "tests" / "compat" / "audio")
PATIENCE_S = 60.0
PROGRAM = (sys.executable, "-c", "from cli.main import app; app()")


@dataclass(frozen=True)
class RunningServer:
    """Where the server is, a key that it takes, where clips can be fetched from, and its process."""

    url: str
    key: str
    files_url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.key}"}

    @property
    def ws_url(self) -> str:
        return "ws" + self.url.removeprefix("http")


@contextmanager
def running_server(data: Path, *, key: str = "", **settings: str) -> Iterator[RunningServer]:
    """A server process that keeps everything in ``data``; SIGTERM at the end must make it exit with 0.

    ``key``: one that is there already; none is made then, which takes a process of its own.

    ``settings`` are environment variables without their prefix: ``WORKERS="2"``.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WHISPERAPI_")}
    environment |= {
        "WHISPERAPI_DATA_DIR": str(data),
        "WHISPERAPI_PORT": "0",
        "WHISPERAPI_DEFAULT_MODEL": "selftest",
        "WHISPERAPI_FETCH_ALLOW": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "NO_PROXY": "*",
    } | {f"WHISPERAPI_{name}": value for name, value in settings.items()}
    key = key or _run_keys_create(environment)
    clips = {f"/{clip.name}": clip.read_bytes() for folder in CLIPS for clip in folder.iterdir() if clip.is_file()}
    log = data / "server.log"
    with file_server(clips) as files_url, log.open("wb") as output:
        process = subprocess.Popen([*PROGRAM, "serve"], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield RunningServer(_wait_until_ready(process, log), key, files_url, process, log)
            process.send_signal(signal.SIGTERM)
            status = process.wait(PATIENCE_S)
            assert status == 0, f"exit status {status}:\n{log.read_text(encoding='utf-8')}"
        finally:
            process.kill()
            process.wait()


def _run_keys_create(environment: dict[str, str]) -> str:
    command = [*PROGRAM, "keys", "create", "compat", "--json"]
    made = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=PATIENCE_S)
    key: str = json.loads(made.stdout)["key"]
    return key


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """The URL that the server says it listens on, once ``/ready`` there says yes."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        listening = re.search(r"listening on (http://\S+)", log.read_text(encoding="utf-8"))
        if listening is not None:
            try:
                with opener.open(f"{listening[1]}/ready", timeout=5):
                    return listening[1]
            except urllib.error.HTTPError as error:
                error.close()  # 503: still starting
        time.sleep(0.05)
    raise AssertionError(f"the server did not become ready:\n{log.read_text(encoding='utf-8')}")
