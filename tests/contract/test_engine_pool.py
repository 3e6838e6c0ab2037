"""What every pool does: permits, errors, cancelling, closing."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import soundfile
import uvloop

from app.domain.audio import Pcm16k
from app.domain.errors import Overloaded, SttError, Unavailable, UnsupportedModel
from app.domain.options import DecodeOptions
from app.domain.ports import EnginePool, JobClass
from app.engines.pool import ProcessPool
from app.engines.remote import RemotePool
from app.engines.remote_backend import Backend
from app.engines.scripted import ScriptedEngine, ScriptedPool, say
from tests.support.backend_server import BackendServer, good

ROOT = Path(__file__).parents[2]
OPTIONS = DecodeOptions()

Scenario = Callable[[EnginePool], Awaitable[None]]
Run = Callable[[Scenario], None]


def read_clip(name: str) -> Pcm16k:
    samples, _ = soundfile.read(ROOT / "tests/audio" / name, dtype="float32")
    return samples


async def make_scripted() -> EnginePool:
    return ScriptedPool(ScriptedEngine(say("Hello world.")), max_pending=2)


async def make_processes() -> EnginePool:
    return await ProcessPool.start(ROOT / "models/ggml-selftest.bin", workers=2, threads=1, max_pending=2)


class RemotePoolWithServer(RemotePool):
    """Takes the stand-in for the other server away with it."""

    server: BackendServer

    async def close(self) -> None:
        await super().close()
        await self.server.stop()


async def make_remote() -> EnginePool:
    server = BackendServer(good)
    await server.start()
    pool = RemotePoolWithServer(Backend("remote", server.url, languages=("en", "es"), parallel=2), max_pending=2)
    pool.server = server
    return pool


def make_runner(make: Callable[[], Awaitable[EnginePool]], new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Run:
    def run(scenario: Scenario) -> None:
        async def whole() -> None:
            pool = await make()
            try:
                await asyncio.wait_for(scenario(pool), 60)
            finally:
                await pool.close()

        loop = new_loop()
        try:
            loop.run_until_complete(whole())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()

    return run


@pytest.fixture(
    params=[
        "scripted",
        "remote",
        "remote-uvloop",
        pytest.param("processes", marks=pytest.mark.model),
        pytest.param("processes-uvloop", marks=pytest.mark.model),
    ]
)
def run(request: pytest.FixtureRequest) -> Run:
    makers = {"scripted": make_scripted, "remote": make_remote, "processes": make_processes}
    make = makers[request.param.removesuffix("-uvloop")]
    return make_runner(make, uvloop.new_event_loop if request.param.endswith("uvloop") else asyncio.new_event_loop)


class TestEnginePool:
    def test_a_session_transcribes(self, run: Run) -> None:
        async def scenario(pool: EnginePool) -> None:
            async with pool.admit() as session:
                hypothesis = await session.transcribe(read_clip("hello-world.wav"), OPTIONS, JobClass.FINAL)
            assert [word.text for word in hypothesis.words] == ["Hello", "world."]
            assert hypothesis.queue_s >= 0.0
            assert hypothesis.retries == 0

        run(scenario)

    def test_a_session_detects(self, run: Run) -> None:
        async def scenario(pool: EnginePool) -> None:
            async with pool.admit() as session:
                guesses = await session.detect_language(read_clip("hello-world.wav"), ("en", "es"), JobClass.FINAL)
            assert [guess.language for guess in guesses] == ["en", "es"]

        run(scenario)

    def test_jobs_of_one_session_may_run_at_once(self, run: Run) -> None:
        async def scenario(pool: EnginePool) -> None:
            pcm = read_clip("hello-world.wav")
            async with pool.admit() as session:
                jobs = [session.transcribe(pcm, OPTIONS, JobClass.LONG_RECORDING) for _ in range(5)]
                results = await asyncio.gather(*jobs)
            assert [len(result.words) for result in results] == [2] * 5

        run(scenario)

    def test_no_permit_is_left_after_the_last_one(self, run: Run) -> None:
        async def scenario(pool: EnginePool) -> None:
            async with pool.admit():
                async with pool.admit():
                    with pytest.raises(Overloaded) as caught:
                        async with pool.admit():
                            pass
                    assert caught.value.retry_after_s >= 1.0
                async with pool.admit():
                    pass

        run(scenario)

    def test_a_permit_comes_back_after_an_error(self, run: Run) -> None:
        async def scenario(pool: EnginePool) -> None:
            for _ in range(3):
                with pytest.raises(UnsupportedModel):
                    async with pool.admit() as session:
                        await session.transcribe(read_clip("hello-world.wav"), DecodeOptions(language="xx"), JobClass.FINAL)

        run(scenario)

    def test_a_cancelled_job_leaves_the_pool_working(self, run: Run) -> None:
        async def scenario(pool: EnginePool) -> None:
            pcm = read_clip("hello-world.wav")
            async with pool.admit() as session:
                tasks = [asyncio.ensure_future(session.transcribe(pcm, OPTIONS, JobClass.FINAL)) for _ in range(4)]
                await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
                assert (await session.transcribe(pcm, OPTIONS, JobClass.FINAL)).words

        run(scenario)

    def test_a_decode_leaves_nothing_for_the_collector_of_garbage(self, run: Run) -> None:
        async def scenario(pool: EnginePool) -> None:
            pcm = read_clip("hello-world.wav").copy()
            gone = weakref.ref(pcm)
            async with pool.admit() as session:
                await session.transcribe(pcm, OPTIONS, JobClass.FINAL)
                del pcm
                assert gone() is None

        gc.collect()
        gc.disable()
        try:
            run(scenario)
        finally:
            gc.enable()

    def test_a_session_ends_with_its_permit(self, run: Run) -> None:
        async def scenario(pool: EnginePool) -> None:
            async with pool.admit() as session:
                pass
            with pytest.raises(SttError):
                await session.transcribe(read_clip("hello-world.wav"), OPTIONS, JobClass.FINAL)

        run(scenario)

    def test_a_closed_pool_admits_nobody(self, run: Run) -> None:
        async def scenario(pool: EnginePool) -> None:
            await pool.close()
            with pytest.raises(Unavailable):
                async with pool.admit():
                    pass
            await pool.close()

        run(scenario)
