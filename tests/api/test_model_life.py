"""Loading, unloading and fetching models over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from app.domain.errors import Unavailable
from app.domain.languages import WHISPER_LANGUAGES
from app.domain.ports import EnginePool, InstalledModel
from app.engines.scripted import ScriptedEngine, ScriptedPool, say
from app.hub import Hub
from app.hub.files import work_files
from app.services.catalog_entries import CatalogData, CatalogEntry
from tests.support.app import SPEECH, Stage, staged
from tests.support.hub_server import HubServer, hub_server
from tests.support.weights import header_bytes

CLIP = (Path(__file__).parents[1] / "audio" / "hello-world.wav").read_bytes()
BROKEN = "The model's weights are damaged or incomplete; pull the model again."


class Counting:
    """Starts scripted pools and knows which."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.pools: list[ScriptedPool] = []

    async def start(self, model: InstalledModel) -> EnginePool:
        self.started.append(model.info.name)
        if model.info.name == "broken":
            raise Unavailable(BROKEN)
        self.pools.append(ScriptedPool(ScriptedEngine(say(SPEECH), languages=WHISPER_LANGUAGES)))
        return self.pools[-1]


def put_model(folder: Path, name: str) -> None:
    (folder / "models").mkdir(exist_ok=True)
    path = folder / "models" / f"ggml-{name}.bin"
    path.write_bytes(header_bytes())
    with path.open("r+b") as file:
        file.truncate(200_000_000)  # sparse: the right length, without the bytes


@pytest.fixture
def engines() -> Counting:
    return Counting()


@pytest.fixture
def stage(tmp_path: Path, engines: Counting) -> Iterator[Stage]:
    for name in ("mine", "broken"):
        put_model(tmp_path, name)
    with staged(tmp_path, start=engines.start, memory_budget_mb=4000) as running:
        yield running


def resident(stage: Stage) -> dict[str, Any]:
    return {model["name"]: model for model in stage.client.get("/v1/models/resident").json()["models"]}


def key_with(stage: Stage, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Token {stage.accounts.create('a key', scopes)[1]}"}


class TestLoading:
    def test_a_loaded_model_is_listed_with_its_workers_and_its_end(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/models/mine/load")
        assert (answer.status_code, answer.json()["state"]) == (200, "loaded")
        assert resident(stage)["mine"] == answer.json() | {"idle_seconds": mock.ANY, "expires_in_seconds": mock.ANY}
        assert resident(stage)["mine"]["workers"] == 1
        assert 0 < resident(stage)["mine"]["expires_in_seconds"] <= 300

    def test_the_default_model_is_kept(self, stage: Stage) -> None:
        assert (resident(stage)["selftest"]["kept"], resident(stage)["selftest"]["expires_in_seconds"]) == (True, None)

    def test_the_list_says_what_all_models_take_and_may_take(self, stage: Stage) -> None:
        body = stage.client.get("/v1/models/resident", headers={"Authorization": ""}).json()
        assert body["memory_budget_mb"] == 4000
        assert body["memory_mb"] == sum(model["memory_mb"] for model in body["models"]) > 18

    def test_a_request_loads_its_model_and_later_ones_find_it_loaded(self, stage: Stage, engines: Counting) -> None:
        for _ in range(2):
            assert stage.client.post("/v1/listen?model=mine", content=CLIP).status_code == 200
        assert engines.started == ["selftest", "mine"]
        assert resident(stage)["mine"]["users"] == 0

    def test_an_unloaded_model_is_loaded_again_by_the_next_request(self, stage: Stage, engines: Counting) -> None:
        stage.client.post("/v1/models/mine/load")
        answer = stage.client.post("/v1/models/mine/unload")
        assert (answer.status_code, answer.json()["state"]) == (200, "unloaded")
        assert "mine" not in resident(stage)
        assert stage.client.post("/v1/listen?model=mine", content=CLIP).status_code == 200
        assert engines.started == ["selftest", "mine", "mine"]

    def test_with_everything_unloaded_the_server_is_ready_and_its_metrics_name_no_model(self, stage: Stage) -> None:
        assert 'model="selftest"' in stage.client.get("/metrics").text
        stage.client.post("/v1/models/selftest/unload")
        assert resident(stage) == {}
        assert stage.client.get("/ready").status_code == 200
        assert 'model="selftest"' not in stage.client.get("/metrics").text

    def test_a_model_is_not_unloaded_under_an_open_stream(self, stage: Stage, engines: Counting) -> None:
        query = "/v1/listen?model=mine&encoding=linear16&sample_rate=16000"
        with stage.client.websocket_connect(query) as socket:
            answer = stage.client.post("/v1/models/mine/unload")
            assert (answer.status_code, answer.json()["state"], answer.json()["users"]) == (202, "leaving", 1)
            socket.send_bytes(bytes(64_000))
            socket.send_json({"type": "CloseStream"})
            while socket.receive_json()["type"] != "Metadata":
                pass
        for _ in range(1000):
            if "mine" not in resident(stage):
                break
        else:
            pytest.fail("it never left")
        assert engines.pools[-1].calls or engines.started[-1] == "mine"

    def test_a_model_whose_time_is_over_leaves_and_comes_back(self, tmp_path: Path, engines: Counting) -> None:
        put_model(tmp_path, "mine")
        with staged(tmp_path, start=engines.start, model_ttl_s=0.0) as stage:
            for _ in range(2):
                assert stage.client.post("/v1/listen?model=mine", content=CLIP).status_code == 200
                while "mine" in resident(stage):
                    pass
            assert engines.started == ["selftest", "mine", "mine"]
            assert "selftest" in resident(stage)


class TestErrors:
    @pytest.mark.parametrize("action", ["load", "unload", "pull"])
    def test_an_unknown_model(self, stage: Stage, action: str) -> None:
        answer = stage.client.post(f"/v1/models/no-such/{action}")
        assert (answer.status_code, answer.json()["err_msg"]) == (404, "A model with the submitted ID cannot be found.")

    def test_a_model_that_is_known_and_not_installed(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/models/tiny/load")
        assert (answer.status_code, "not installed" in answer.json()["err_msg"]) == (404, True)

    def test_a_corrupt_file(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/models/broken/load")
        assert answer.status_code == 503
        assert BROKEN in answer.text
        assert "broken" not in resident(stage)
        assert stage.client.post("/v1/listen?model=broken", content=CLIP).status_code == 503
        assert stage.client.post("/v1/listen", content=CLIP).status_code == 200

    def test_a_model_beyond_the_memory_that_all_may_have(self, tmp_path: Path, engines: Counting) -> None:
        put_model(tmp_path, "mine")
        with staged(tmp_path, start=engines.start, memory_budget_mb=800, workers=4) as stage:
            answer = stage.client.post("/v1/listen?model=mine", content=CLIP)
            assert answer.status_code == 503
            assert "all models together may have 800 MB" in answer.text
            assert engines.started == ["selftest"]

    @pytest.mark.parametrize("action", ["load", "unload", "pull"])
    def test_only_administrators_may(self, stage: Stage, action: str) -> None:
        url = f"/v1/models/mine/{action}"
        assert stage.client.post(url, headers={"Authorization": ""}).status_code == 401
        refused = stage.client.post(url, headers=key_with(stage, "member"))
        assert (refused.status_code, refused.json()["err_code"]) == (401, "INSUFFICIENT_PERMISSIONS")
        assert stage.client.post(url, headers=key_with(stage, "admin")).status_code in (200, 404)

    def test_members_do_not_see_pulls(self, stage: Stage) -> None:
        assert stage.client.get("/v1/models/tiny/pull", headers=key_with(stage, "member")).status_code == 401


class TestPulling:
    CONTENT = header_bytes(width=64, audio_layers=1, text_layers=1) + bytes(10_000_000)

    @pytest.fixture
    def hub(self) -> Iterator[HubServer]:
        with hub_server() as server:
            server.add("someone/models", "ggml-tiny.bin", self.CONTENT)
            with (
                mock.patch("app.wiring.Hub", return_value=Hub(server.url, pause_s=0)),
                mock.patch.object(CatalogData, "find", self.find),
            ):
                yield server

    def find(self, name: str) -> CatalogEntry | None:
        digest = hashlib.sha256(TestPulling.CONTENT).hexdigest()
        names = ("someone/models", "ggml-tiny.bin", "ggml-small-and-mine.bin")
        entry = CatalogEntry("small-and-mine", *names, len(TestPulling.CONTENT), 1, digest, None, ("en",), False)
        return entry if name == entry.name else None

    def poll(self, stage: Stage, name: str) -> dict[str, Any]:
        body: dict[str, Any] = {"state": "pulling"}
        while body["state"] == "pulling":
            body = stage.client.get(f"/v1/models/{name}/pull").json()
        return body

    def test_its_progress_is_seen_until_it_is_there(self, stage: Stage, hub: HubServer) -> None:
        hub.pause = threading.Event()
        answer = stage.client.post("/v1/models/small-and-mine/pull")
        assert (answer.status_code, answer.json()["state"]) == (202, "pulling")
        assert hub.paused.wait(20)
        again = stage.client.post("/v1/models/small-and-mine/pull")
        assert (again.status_code, again.json()["bytes_total"]) == (202, len(self.CONTENT))
        hub.pause.set()
        assert self.poll(stage, "small-and-mine")["state"] == "installed"
        assert len(hub.downloads) == 1

    def test_one_that_was_interrupted_says_at_once_what_is_there(self, stage: Stage, hub: HubServer, tmp_path: Path) -> None:
        entry = self.find("small-and-mine")
        assert entry is not None
        partial, _ = work_files(entry, tmp_path / "models")
        partial.write_bytes(self.CONTENT[:4_000_000])
        hub.pause = threading.Event()
        answer = stage.client.post("/v1/models/small-and-mine/pull").json()
        assert (answer["state"], answer["bytes_done"]) == ("pulling", 4_000_000)
        hub.pause.set()
        assert self.poll(stage, "small-and-mine")["state"] == "installed"

    def test_a_failure_is_told_and_the_next_pull_tries_again(self, stage: Stage, hub: HubServer) -> None:
        hub.faults.metadata_status = 404
        stage.client.post("/v1/models/small-and-mine/pull")
        failed = self.poll(stage, "small-and-mine")
        assert failed["state"] == "failed"
        assert "The hub has no ggml-tiny.bin" in failed["problem"]
        hub.faults.metadata_status = None
        assert stage.client.post("/v1/models/small-and-mine/pull").status_code == 202
        assert self.poll(stage, "small-and-mine")["state"] == "installed"

    def test_nobody_has_asked_for_it(self, stage: Stage) -> None:
        assert stage.client.get("/v1/models/tiny/pull").status_code == 404

    def test_what_is_here_is_not_fetched(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/models/selftest/pull")
        assert (answer.status_code, answer.json()["state"]) == (200, "installed")


def test_stopping_tells_those_who_wait_for_a_model_at_once(tmp_path: Path) -> None:
    put_model(tmp_path, "mine")
    loading = threading.Event()

    async def start(model: InstalledModel) -> EnginePool:
        if model.info.name == "mine":
            loading.set()
            await asyncio.Event().wait()
        return ScriptedPool(ScriptedEngine(say(SPEECH), languages=WHISPER_LANGUAGES))

    with staged(tmp_path, start=start) as stage, ThreadPoolExecutor() as pool:
        waiting = pool.submit(stage.client.post, "/v1/listen?model=mine", content=CLIP)
        assert loading.wait(20)
        assert stage.client.portal is not None
        stage.client.portal.call(stage.app.state.services.drain, 20.0)
        assert waiting.result(20).status_code == 503
