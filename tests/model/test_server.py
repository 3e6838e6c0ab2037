"""The whole server on the self-test model: what must not get lost when clients, workers or the server itself go away."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.support.encode import wav
from tests.support.running_server import ROOT, RunningServer, running_server

pytestmark = pytest.mark.model

AUDIO = ROOT / "tests" / "audio"
SENTENCES = "good morning john how are you today please open the red door the window is blue"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server"), WORKERS="2", THREADS="1", MAX_PENDING_REQUESTS="20") as started:
        yield started


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as opened:
        yield opened


def heard(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["results"]["channels"][0]["alternatives"][0]["transcript"])


def clip(name: str) -> bytes:
    return (AUDIO / name).read_bytes()


def worker_pids(server: RunningServer) -> set[int]:
    """Processes below the server that decode: the children of its nursery."""
    return {worker for nursery in _children(server.process.pid) for worker in _children(nursery)}


def _children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def _ticks(pid: int) -> int:
    """Processor time the process has used, in the kernel's ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def test_words_have_times_inside_the_recording_and_real_confidences(client: httpx.Client) -> None:
    answer = client.post("/v1/listen?punctuate=true", content=clip("sentences-10s.wav")).json()
    words = answer["results"]["channels"][0]["alternatives"][0]["words"]
    assert [word["punctuated_word"] for word in words[:3]] == ["Good", "morning", "John."]
    assert all(0 <= word["start"] <= word["end"] <= answer["metadata"]["duration"] for word in words)
    assert all(first["start"] <= second["start"] for first, second in pairwise(words))
    assert len({word["confidence"] for word in words}) > len(words) / 2


@pytest.mark.parametrize(("name", "code", "first"), [("spanish.wav", "es", "buenos"), ("french.wav", "fr", "bonjour")])
def test_languages_are_detected_and_translated(client: httpx.Client, name: str, code: str, first: str) -> None:
    channel = client.post("/v1/listen?detect_language=true", content=clip(name)).json()["results"]["channels"][0]
    assert channel["detected_language"] == code
    assert channel["alternatives"][0]["words"][0]["word"] == first
    translated = heard(client.post(f"/v1/listen?language={code}&translate=true", content=clip(name)))
    assert "the" in translated.split()


def test_channels_are_heard_apart(client: httpx.Client) -> None:
    answer = client.post("/v1/listen?multichannel=true", content=clip("stereo-one-speaker-per-channel.wav")).json()
    texts = [channel["alternatives"][0]["transcript"] for channel in answer["results"]["channels"]]
    assert texts == ["where is john thank you", "john is in paris"]


@pytest.mark.parametrize("name", ["silence-5s.wav", "noise-5s.wav"])
def test_silence_and_noise_say_nothing(client: httpx.Client, name: str) -> None:
    assert heard(client.post("/v1/listen", content=clip(name))) == ""


@pytest.mark.parametrize("victims", ["the busy one", "all"])
def test_killed_workers_cost_no_answer(server: RunningServer, client: httpx.Client, victims: str) -> None:
    if sys.platform != "linux":
        pytest.skip("finding the worker needs /proc")
    before = worker_pids(server)
    idle_ticks = {pid: _ticks(pid) for pid in before}
    assert len(before) == 3  # two that decode, and one that takes a final's place

    async def kill_while_working() -> httpx.Response:
        async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=60) as asynchronous:
            request = asyncio.ensure_future(asynchronous.post("/v1/listen", content=clip("sentences-10s.wav")))
            while not (busy := [pid for pid in before if _ticks(pid) > idle_ticks[pid]]):
                assert not request.done()
                await asyncio.sleep(0)
            for pid in before if victims == "all" else busy[:1]:
                os.kill(pid, signal.SIGKILL)
            return await request

    assert heard(asyncio.run(kill_while_working())) == SENTENCES
    assert heard(client.post("/v1/listen", content=clip("hello-world.wav"))) == "hello world"
    while len(after := worker_pids(server)) < 3:  # the successor of the last one may still be on its way
        time.sleep(0.01)
    assert len(after & before) == (0 if victims == "all" else 2)


async def _is_busy(client: httpx.AsyncClient) -> bool:
    metrics = (await client.get("/metrics")).text
    return 'whisperapi_workers{model="selftest",state="busy"} 1.0' in metrics


def test_fifty_requests_at_once_are_answered_or_told_when_to_come_back(server: RunningServer) -> None:
    async def ask() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=120, limits=limits) as client:
            body = clip("hello-world.wav")
            return await asyncio.gather(*(client.post("/v1/listen", content=body) for _ in range(50)))

    answers = asyncio.run(ask())
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) <= {200, 429}
    assert counts[200] >= 20
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
        else:
            assert heard(answer) == "hello world"


def test_a_client_gone_in_mid_decode_frees_its_worker(server: RunningServer, client: httpx.Client) -> None:
    body = clip("sentences-10s.wav")
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 80)) as raw:
        lines = ["POST /v1/listen HTTP/1.1", "Host: x", f"Authorization: Token {server.key}", f"Content-Length: {len(body)}"]
        raw.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        while 'state="busy"} 1.0' not in client.get("/metrics").text:
            pass
    while 'state="busy"} 0.0' not in client.get("/metrics").text:
        pass  # pytest's time limit ends this if the worker is never freed
    assert heard(client.post("/v1/listen", content=clip("hello-world.wav"))) == "hello world"


def test_the_command_line_hears_the_same(tmp_path: Path, client: httpx.Client) -> None:
    environment = os.environ | {
        "WHISPERAPI_DATA_DIR": str(tmp_path),
        "WHISPERAPI_DEFAULT_MODEL": "selftest",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "cli", "transcribe", str(AUDIO / "sentences-10s.wav")]
    for output_format, params in (("text", ()), ("srt", ()), ("vtt", ("replace=door:gate", "start=2.5"))):
        given = [part for param in params for part in ("--param", param)]
        printed = subprocess.run(
            [*command, "--format", output_format, *given],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        query = "&".join((f"response_format={output_format}", "filler_words=true", *params))
        assert printed == client.post(f"/v1/listen?{query}", content=clip("sentences-10s.wav")).text
    assert "gate" in printed
    assert "Good" not in printed


def answer_to_one_that_ran_at_sigterm(server: RunningServer, body: bytes) -> httpx.Response:
    async def stop_while_working() -> httpx.Response:
        async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=60) as asynchronous:
            request = asyncio.ensure_future(asynchronous.post("/v1/listen", content=body))
            while not request.done() and not await _is_busy(asynchronous):
                pass
            server.process.send_signal(signal.SIGTERM)
            return await request

    return asyncio.run(stop_while_working())


def test_sigterm_lets_a_running_request_finish(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        assert heard(answer_to_one_that_ran_at_sigterm(server, clip("sentences-10s.wav"))) == SENTENCES


def test_a_request_that_takes_longer_than_the_server_has_is_told_so(tmp_path: Path) -> None:
    with running_server(tmp_path, SHUTDOWN_TIMEOUT_S="0") as server:
        answer = answer_to_one_that_ran_at_sigterm(server, wav(clip("sentences-10s.wav")[44:] * 60))
        assert answer.status_code == 503
        assert answer.json()["request_id"] == answer.headers["dg-request-id"]
        assert "stopping" in answer.json()["err_msg"]
