"""Models that come and go, with real processes: nothing of them is left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from app.domain.errors import Unavailable
from app.domain.ports import EnginePool, InstalledModel
from app.domain.transcript import ModelInfo
from app.engines.memory import expected_bytes, pool_bytes
from app.engines.pool import ProcessPool
from app.services.residency import ResidentModels
from app.services.resident import ResidencyRules

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are watched through /proc"),
]

WEIGHTS = Path(__file__).parents[2] / "models/ggml-selftest.bin"
LIMIT_S = 60


def model(path: Path) -> InstalledModel:
    return InstalledModel(ModelInfo(path.stem, path.stem, "1"), path, path.stat().st_size, ("en",), False, False)


async def start(wanted: InstalledModel) -> EnginePool:
    return await ProcessPool.start(wanted.path, workers=1, threads=1)


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_memory_is_what_its_processes_have_and_close_to_what_was_expected() -> None:
    async def scenario() -> None:
        models = ResidentModels(start, ResidencyRules(measure=pool_bytes, budget_bytes=10**9))
        try:
            pool = await models.pool(model(WEIGHTS))
            assert isinstance(pool, ProcessPool)
            assert len(pool.process_ids()) == 3  # one worker, the spare one, and who forks them
            (state,) = await models.measured()
            assert state.is_measured
            found = pool_bytes(pool)
            assert found is not None
            assert WEIGHTS.stat().st_size < found <= expected_bytes(WEIGHTS.stat().st_size, 1, 1)
        finally:
            await models.close()

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))


def test_an_unloaded_model_leaves_no_process_and_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "ggml-other.bin"
    shutil.copy(WEIGHTS, path)

    async def scenario() -> None:
        models = ResidentModels(start)
        try:
            async with models.use(model(path)):  # the first load may open what stays
                pass
            await models.unload(path.stem)
            before = children(), descriptors()
            async with models.use(model(path)):
                assert children() > before[0]
            await models.unload(path.stem)
            assert (children(), descriptors()) == before
        finally:
            await models.close()

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))


def test_a_corrupt_file_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ggml-half.bin"
    path.write_bytes(WEIGHTS.read_bytes()[:-1000])

    async def scenario() -> None:
        models = ResidentModels(start)
        try:
            seen = []
            for _ in range(2):
                with pytest.raises(Unavailable, match="damaged or incomplete"):
                    async with models.use(model(path)):
                        pass
                seen.append((children(), descriptors()))
            assert seen[0] == seen[1]
            assert models.states() == ()
        finally:
            await models.close()

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))


def test_a_load_that_is_given_up_leaves_nothing() -> None:
    async def scenario() -> None:
        models = ResidentModels(start)
        before = children()
        waiting = asyncio.ensure_future(models.pool(model(WEIGHTS)))
        while children() == before:
            await asyncio.sleep(0)
        await models.close()
        with pytest.raises(Unavailable):
            await waiting
        assert children() == before

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))
