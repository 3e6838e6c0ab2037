"""SIGTERM while models still load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LIMIT_S = 60
PROGRAM = """
import asyncio
import cli.serve

async def load_for_ever(settings):
    print("loading", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("given up", flush=True)

cli.serve.start_services = load_for_ever
from cli.main import app
app()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_gives_up_loading_and_calls_it_no_failure(tmp_path: Path, number: int) -> None:
    environment = os.environ | {
        "WHISPERAPI_DATA_DIR": str(tmp_path),
        "WHISPERAPI_PORT": "0",
        "WHISPERAPI_DEFAULT_MODEL": "selftest",
        "WHISPERAPI_AUTH": "false",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-c", PROGRAM, "serve"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            assert server.stdout is not None
            seen = b""
            while b"loading\n" not in seen:
                line = server.stdout.readline()
                assert line, seen.decode()
                seen += line
            server.send_signal(number)
            output = server.communicate(timeout=LIMIT_S)[0].decode()
        finally:
            server.kill()
    assert server.returncode == 0, output
    assert "given up" in output
    assert "Traceback" not in output
    assert "listening" not in output
