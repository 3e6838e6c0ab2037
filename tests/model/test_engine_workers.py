"""Decode workers as real processes: crashes, aborts, endings. Whatever is killed here was started here."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.domain.audio import Pcm16k
from app.domain.errors import ClientGone, EngineFailed, Unavailable
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, EngineSession, JobClass
from app.domain.transcript import Hypothesis
from app.engines import worker_process
from app.engines.pool import RELIEFS, ProcessPool

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are watched through /proc"),
]

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/ggml-selftest.bin"
PHONE = "My phone number is five five five one two three four."
SENTENCES = "Good morning John. How are you today? Please open the red door. The window is blue."

Scenario = Callable[[ProcessPool], Awaitable[None]]


def read_clip(name: str) -> Pcm16k:
    samples, _ = soundfile.read(ROOT / "tests/audio" / name, dtype="float32")
    return samples


def text(hypothesis: Hypothesis) -> str:
    return " ".join(segment.text for segment in hypothesis.segments)


def run(scenario: Scenario, *, workers: int = 2, fork: bool | None = None) -> None:
    async def whole() -> None:
        pool = await ProcessPool.start(MODEL, workers=workers, threads=1, fork=fork)
        try:
            await asyncio.wait_for(scenario(pool), 60)
        finally:
            await pool.close()

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    """Poll, since other processes tell nobody; bounded by the limit around every scenario."""
    while not condition():  # no event exists for this
        await asyncio.sleep(0.005)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def ticks(pid: int) -> int:
    """Processor time the process has used, in the kernel's ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11])


async def until_decoding(pid: int, idle_ticks: int) -> None:
    await until(lambda: ticks(pid) > idle_ticks)


def start_long(session: EngineSession) -> asyncio.Task[Hypothesis]:
    """A job of a second or so, long enough to be met in its middle."""
    pcm = np.concatenate([read_clip("phone-number.wav"), np.zeros(20 * 16_000, np.float32)])
    return asyncio.ensure_future(session.transcribe(pcm, DecodeOptions(fit_context=False), JobClass.SHORT_RECORDING))


def start(session: EngineSession, clip: str = "phone-number.wav") -> asyncio.Task[Hypothesis]:
    return asyncio.ensure_future(session.transcribe(read_clip(clip), DecodeOptions(), JobClass.SHORT_RECORDING))


@pytest.mark.parametrize("fork", [True, False])
def test_two_jobs_at_once_get_their_own_answers(fork: bool) -> None:
    async def scenario(pool: ProcessPool) -> None:
        assert len(set(pool.worker_pids())) == 2 + (RELIEFS if fork else 0)
        assert pool.stats().workers == 2
        async with pool.admit() as one, pool.admit() as two:
            jobs = [start(one), start(two, "sentences-10s.wav")]
            await asyncio.sleep(0)
            assert pool.stats().busy == 2
            assert [text(hypothesis) for hypothesis in await asyncio.gather(*jobs)] == [PHONE, SENTENCES]
        stats = pool.stats()
        assert (stats.done, stats.failed, stats.busy, stats.waiting, stats.admitted) == (2, 0, 0, 0, 0)
        assert stats.decode_s > 0.0

    run(scenario, fork=fork)


def test_times_in_the_queue_and_in_the_engine_are_told_apart() -> None:
    async def scenario(pool: ProcessPool) -> None:
        async with pool.admit() as session:
            first, second = await asyncio.gather(start(session), start(session))
        assert first.queue_s < second.queue_s
        assert second.queue_s >= first.decode_s
        assert second.decode_s > 0.0

    run(scenario, workers=1)


def test_a_worker_killed_in_the_middle_of_a_job_costs_nothing() -> None:
    async def scenario(pool: ProcessPool) -> None:
        before = pool.worker_pids()
        idle_ticks = ticks(before[0])
        async with pool.admit() as session:
            job = start_long(session)
            await until_decoding(before[0], idle_ticks)
            os.kill(before[0], signal.SIGKILL)
            hypothesis = await job
            assert text(hypothesis) == PHONE
            assert hypothesis.retries == 1
            await until(lambda: pool.stats().workers == 2)
        assert pool.stats().restarts == 1
        assert before[0] not in pool.worker_pids()

    run(scenario)


def test_workers_that_die_before_they_see_a_job_do_not_count_against_it() -> None:
    async def scenario(pool: ProcessPool) -> None:
        before = pool.worker_pids()
        for pid in before:
            os.kill(pid, signal.SIGSTOP)  # a stopped worker is given the job and never reads it
        async with pool.admit() as session:
            job = start(session)
            await until(lambda: pool.stats().busy == 1)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            hypothesis = await job
        assert text(hypothesis) == PHONE
        assert hypothesis.retries == 0

    run(scenario)


def test_all_workers_killed_are_replaced_and_the_job_answered() -> None:
    async def scenario(pool: ProcessPool) -> None:
        pids = pool.worker_pids()
        async with pool.admit() as session:
            job = start(session, "sentences-10s.wav")
            await until(lambda: pool.stats().busy == 1)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            assert text(await job) == SENTENCES

    run(scenario, workers=1)


def test_a_job_that_takes_two_workers_with_it_fails() -> None:
    async def scenario(pool: ProcessPool) -> None:
        first, second = pool.worker_pids()[:2]
        idle_ticks = {pid: ticks(pid) for pid in (first, second)}
        async with pool.admit() as session:
            job = start_long(session)
            for pid in (first, second):
                await until_decoding(pid, idle_ticks[pid])
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(EngineFailed):
                await job
            await until(lambda: pool.stats().workers == 2)
            assert text(await start(session)) == PHONE
        assert pool.stats().failed == 1

    run(scenario)


def test_cancelling_frees_the_worker_and_drops_what_waits() -> None:
    async def scenario(pool: ProcessPool) -> None:
        long = np.concatenate([read_clip("sentences-10s.wav")] * 3)[: 28 * 16_000]
        async with pool.admit() as session:
            running = asyncio.ensure_future(session.transcribe(long, DecodeOptions(fit_context=False), JobClass.FINAL))
            waiting = start(session)
            await until(lambda: pool.stats().busy == 1)
            assert pool.stats().waiting == 1
            running.cancel()
            waiting.cancel()
            await asyncio.gather(running, waiting, return_exceptions=True)
            assert pool.stats().waiting == 0
            assert text(await start(session)) == PHONE
        stats = pool.stats()
        assert stats.aborted == 2
        assert stats.restarts == 0

    run(scenario, workers=1)


def test_a_session_that_ends_takes_its_jobs_along() -> None:
    async def scenario(pool: ProcessPool) -> None:
        async with pool.admit() as session:
            job = start(session, "sentences-10s.wav")
            await until(lambda: pool.stats().busy == 1)
        with pytest.raises(ClientGone):
            await job
        await until(lambda: pool.stats().busy == 0)

    run(scenario, workers=1)


def test_signals_for_the_server_do_not_reach_the_workers() -> None:
    async def scenario(pool: ProcessPool) -> None:
        pids = pool.worker_pids()
        for pid in pids:
            assert os.getsid(pid) != os.getsid(0)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(pid, number)
        async with pool.admit() as session:
            assert text(await start(session)) == PHONE
        assert pool.worker_pids() == pids

    run(scenario, workers=1)


def test_weights_are_loaded_behind_others_and_workers_decode_at_the_usual_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    levels = []

    def load(_: object) -> None:
        levels.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        raise Unavailable

    monkeypatch.setattr(worker_process, "_load", load)
    with pytest.raises(Unavailable):
        worker_process.load_beside_others(argparse.Namespace())
    assert levels == [min(19, usual + worker_process.LOADING_NICENESS)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == usual

    async def scenario(pool: ProcessPool) -> None:
        assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in pool.process_ids()} == {usual}

    run(scenario)


def test_a_session_that_stood_back_takes_its_place_again_though_the_kernel_refuses_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []

    class Level:
        refusals = 2

        def write_text(self, text: str, encoding: str) -> None:
            if text == "0" and self.refusals:
                self.refusals -= 1
                raise BlockingIOError
            written.append(text)

    def load(_: object) -> None:
        assert written == [str(worker_process.LOADING_NICENESS)]
        raise Unavailable

    monkeypatch.setattr(worker_process, "_SESSION_LEVEL", Level())
    monkeypatch.setattr(worker_process, "_load", load)
    with pytest.raises(Unavailable):
        worker_process.load_beside_others(argparse.Namespace())
    assert written == [str(worker_process.LOADING_NICENESS), "0"]


def session_level(pid: int) -> str:
    return Path(f"/proc/{pid}/autogroup").read_text(encoding="ascii").split()[-1]


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel does not weigh sessions")
def test_workers_sessions_have_the_usual_weight() -> None:
    async def scenario(pool: ProcessPool) -> None:
        assert {session_level(pid) for pid in pool.process_ids()} == {"0"}

    run(scenario)


def test_a_nursery_killed_is_started_again() -> None:
    async def scenario(pool: ProcessPool) -> None:
        before = pool.worker_pids()
        for pid in (parent_of(before[0]), *before):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: bool(pool.worker_pids()) and not set(before) & set(pool.worker_pids()))
        async with pool.admit() as session:
            assert text(await start(session)) == PHONE

    run(scenario, workers=1)


@pytest.mark.parametrize("fork", [True, False])
def test_closing_ends_every_process_also_in_the_middle_of_a_job(fork: bool) -> None:
    async def scenario() -> tuple[int, ...]:
        pool = await ProcessPool.start(MODEL, workers=2, threads=1, fork=fork)
        pids = pool.worker_pids()
        async with pool.admit() as session:
            job = start(session, "sentences-10s.wav")
            await until(lambda: pool.stats().busy == 1)
            await pool.close()
            with pytest.raises(Unavailable):
                await job
        return pids

    assert not [pid for pid in asyncio.run(scenario()) if is_running(pid)]


SERVER = """
import asyncio, sys
from pathlib import Path
import numpy as np
from app.domain.options import DecodeOptions
from app.domain.ports import JobClass
from app.engines.pool import ProcessPool

async def main():
    pool = await ProcessPool.start(Path(sys.argv[1]), workers=2, threads=1)
    async with pool.admit() as session:
        pcm = np.random.default_rng(1).normal(0, 0.1, 28 * 16000).astype(np.float32)
        jobs = [session.transcribe(pcm, DecodeOptions(fit_context=False), JobClass.FINAL) for _ in range(50)]
        task = asyncio.ensure_future(asyncio.gather(*jobs))
        while pool.stats().busy < 2:
            await asyncio.sleep(0)
        print(*pool.worker_pids(), flush=True)
        await task

asyncio.run(main())
"""


def test_workers_end_with_a_server_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER, str(MODEL)], stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        pids = [int(pid) for pid in server.stdout.readline().split()]
        parents = {parent_of(pid) for pid in pids}
        server.kill()
    assert len(pids) == 2 + RELIEFS
    asyncio.run(asyncio.wait_for(until(lambda: not any(is_running(pid) for pid in [*pids, *parents])), 30))


def test_weights_that_cannot_be_loaded_are_told_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.bin"
    broken.write_bytes(MODEL.read_bytes()[:4_000_000])
    for fork in (True, False):
        with pytest.raises(Unavailable) as caught:
            asyncio.run(ProcessPool.start(broken, workers=2, threads=1, fork=fork))
        assert "damaged" in caught.value.message
        assert str(tmp_path) not in caught.value.message


def test_weights_that_vanish_make_the_pool_unavailable_and_not_busy(tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(MODEL.read_bytes())

    async def scenario() -> None:
        pool = await ProcessPool.start(weights, workers=1, threads=1, fork=False)
        try:
            weights.unlink()
            os.kill(pool.worker_pids()[0], signal.SIGKILL)
            await until(lambda: pool.stats().workers == 0)
            async with pool.admit() as session:
                with pytest.raises(Unavailable):
                    await start(session)
            with pytest.raises(Unavailable):
                async with pool.admit():
                    pass
            weights.write_bytes(MODEL.read_bytes())
            await until(lambda: pool.stats().workers == 1)
            async with pool.admit() as session:
                assert text(await start(session)) == PHONE
        finally:
            await pool.close()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_an_interim_gives_its_worker_to_a_final() -> None:
    async def scenario(pool: ProcessPool) -> None:
        async with pool.admit(live=True) as listener, pool.admit(live=True) as speaker:
            long = np.concatenate([read_clip("sentences-10s.wav")] * 2)
            slow = DecodeOptions(fit_context=False)
            interim = asyncio.ensure_future(listener.transcribe(long, slow, JobClass.INTERIM))
            await until(lambda: pool.stats().busy == 1)
            final = await speaker.transcribe(read_clip("phone-number.wav"), DecodeOptions(), JobClass.FINAL)
            assert text(final) == PHONE
            with pytest.raises(Aborted):
                await interim
        assert pool.stats().shed == 1

    run(scenario, workers=1)


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_final_waits_neither_for_the_interim_in_its_way_nor_for_another_worker(cancelled: bool) -> None:
    async def scenario(pool: ProcessPool) -> None:
        before = pool.worker_pids()
        nursery = parent_of(before[0])
        async with pool.admit(live=True) as session:
            slow = DecodeOptions(fit_context=False)
            interim = asyncio.ensure_future(session.transcribe(read_clip("sentences-10s.wav"), slow, JobClass.INTERIM))
            await until(lambda: pool.stats().busy == 1)
            for pid in (nursery, before[0]):
                os.kill(pid, signal.SIGSTOP)  # the interim never ends, and nobody forks
            if cancelled:
                interim.cancel()
            try:
                final = await session.transcribe(read_clip("phone-number.wav"), DecodeOptions(), JobClass.FINAL)
                assert not is_running(before[0])
            finally:
                os.kill(nursery, signal.SIGCONT)
            assert text(final) == PHONE
            with pytest.raises(asyncio.CancelledError if cancelled else Aborted):
                await interim
            await until(lambda: len(pool.worker_pids()) == 1 + RELIEFS)
        assert before[1] in pool.worker_pids()
        assert pool.stats().restarts == 0

    run(scenario, workers=1)


def test_a_final_does_not_take_a_dying_worker_for_one_that_will_be_free(monkeypatch: pytest.MonkeyPatch) -> None:
    # Between the order to die and the death another interim takes the place: the final must have that one stopped.
    async def scenario(pool: ProcessPool) -> None:
        doomed, other = (slot.worker for slot in pool._crew.slots)  # noqa: SLF001 -- a death has to be put off
        assert doomed is not None
        assert other is not None
        dying, pids = asyncio.Event(), pool.worker_pids()
        monkeypatch.setattr(doomed, "kill", dying.set)
        async with pool.admit(live=True) as session:
            slow = DecodeOptions(fit_context=False)
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)  # no interim ever ends
            first = asyncio.ensure_future(session.transcribe(read_clip("sentences-10s.wav"), slow, JobClass.INTERIM))
            await until(lambda: pool.stats().busy == 1)
            first.cancel()
            await dying.wait()
            second = asyncio.ensure_future(session.transcribe(read_clip("sentences-10s.wav"), slow, JobClass.INTERIM))
            await until(lambda: pool.stats().busy == 1)
            try:
                final = await session.transcribe(read_clip("phone-number.wav"), DecodeOptions(), JobClass.FINAL)
            finally:
                os.kill(pids[0], signal.SIGKILL)
            assert text(final) == PHONE
            with pytest.raises(Aborted):
                await second
            await until(lambda: len(pool.worker_pids()) == 1 + RELIEFS and not set(pids) & set(pool.worker_pids()))

    run(scenario, workers=1)


def test_interims_leave_the_worker_that_has_decoded_to_finals() -> None:
    async def scenario(pool: ProcessPool) -> None:
        first, second = pool.worker_pids()
        async with pool.admit(live=True) as session:
            for job_class, worker in ((JobClass.FINAL, first), (JobClass.INTERIM, second), (JobClass.FINAL, first)):
                idle_ticks = ticks(worker)
                await session.transcribe(read_clip("phone-number.wav"), DecodeOptions(fit_context=False), job_class)
                assert ticks(worker) > idle_ticks

    run(scenario, workers=1)


def test_a_short_recording_does_not_stop_an_interim() -> None:
    async def scenario(pool: ProcessPool) -> None:
        async with pool.admit(live=True) as listener, pool.admit() as other:
            interim = asyncio.ensure_future(
                listener.transcribe(read_clip("sentences-10s.wav"), DecodeOptions(), JobClass.INTERIM)
            )
            await until(lambda: pool.stats().busy == 1)
            assert text(await start(other)) == PHONE
            assert text(await interim) == SENTENCES
        assert pool.stats().shed == 0

    run(scenario, workers=1)
