"""Jobs in the background: run once, whoever dies; delivered until it arrives."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import EngineFailed, Overloaded, SttError
from app.domain.jobs import Callback, Job, JobLimits, JobState, Outcome
from app.domain.ports import DeliveryFailed
from app.services import job_runner
from app.services.job_runner import JobRules, JobRunner
from app.services.jobs import Jobs
from app.storage.spool import FolderSpool
from tests.support.memory_jobs import MemoryJobStore

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)
TRANSCRIPT = Outcome(b'{"results": {}}', "application/json")
PATIENCE = 20_000


class Edge:
    """What a dialect says, in short."""

    def __init__(self) -> None:
        self.counted: list[str] = []

    def refusal(self, job: Job, error: SttError) -> Outcome:
        return Outcome(error.kind.value.encode(), "application/json", error.kind.value)

    def headers(self, job: Job, outcome: Outcome) -> dict[str, str]:
        return {"dg-request-id": job.job_id}

    def count_delivery(self, result: str) -> None:
        self.counted.append(result)


class RecognitionDouble:
    """Answers with ``outcome``; ``failures`` are raised first, ``before`` is awaited before each answer."""

    def __init__(self) -> None:
        self.outcome = TRANSCRIPT
        self.ran: list[str] = []
        self.running = self.most_running = 0
        self.failures: deque[Exception] = deque()
        self.before: Callable[[], Awaitable[object]] | None = None

    async def run(self, job: Job, edge: Edge) -> Outcome:
        self.ran.append(job.job_id)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await (self.before or _turn)()
        finally:
            self.running -= 1
        if self.failures:
            raise self.failures.popleft()
        return self.outcome


async def _turn() -> None:
    await asyncio.sleep(0)


class DelivererDouble:
    """Takes everything; ``failures`` are raised first."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.failures: deque[Exception] = deque()
        self.before: Callable[[], Awaitable[object]] | None = None

    async def check(self, url: str) -> None:
        raise AssertionError("only requests are checked")

    async def deliver(self, callback: Callback, body: bytes, headers: Mapping[str, str]) -> None:
        await (self.before or _turn)()
        if self.failures:
            raise self.failures.popleft()
        self.taken.append((headers["dg-request-id"], body))


@dataclass
class Stage:
    """One store and one clock; ``runner`` makes servers on them."""

    folder: Path
    now: datetime = NOW
    store: MemoryJobStore = field(default_factory=MemoryJobStore)
    recognition: RecognitionDouble = field(default_factory=RecognitionDouble)
    deliverer: DelivererDouble = field(default_factory=DelivererDouble)
    edge: Edge = field(default_factory=Edge)

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.store, FolderSpool(self.folder), JobLimits(100, 10**9), lambda: self.now)

    def add(self, job_id: str = "job-1", audio_url: str = "") -> None:
        job = Job(job_id, "key", NOW, "", Callback("https://example.com/"), audio_url, 5, JobState.QUEUED, self.now)
        assert self.store.add(job, JobLimits(100, 10**9))
        with self.jobs.spool.create(job_id) as file:
            file.write(b"sound")

    def runner(self, **rules: Any) -> JobRunner:
        given: dict[str, Any] = {"poll_s": 0.001, "lease_s": 10.0, "retry_s": 30.0} | rules
        recognition: Any = self.recognition
        return JobRunner(self.jobs, recognition, self.deliverer, JobRules(**given), lambda: self.now)

    def state(self, job_id: str = "job-1") -> JobState:
        return self.jobs.find(job_id).state

    def has_audio(self, job_id: str = "job-1") -> bool:
        return (self.folder / job_id).exists()

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the runners run until ``condition`` holds."""
        for _ in range(PATIENCE):
            if condition():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it never came to that")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "jobs")


def play(stage: Stage, scene: Callable[[JobRunner], Awaitable[None]], **rules: Any) -> None:
    """Run ``scene`` beside a runner, which is stopped afterwards."""

    async def run() -> None:
        runner = stage.runner(**rules)
        runner.start(stage.edge)  # type: ignore[arg-type]  # the recognition that asks for the rest is a double
        try:
            await scene(runner)
        finally:
            await runner.stop(5.0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


class TestOneJob:
    def test_is_recognised_stored_and_delivered(self, stage: Stage) -> None:
        stage.add()

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.state() is JobState.DONE)

        play(stage, scene)
        assert stage.deliverer.taken == [("job-1", TRANSCRIPT.body)]
        assert stage.recognition.ran == ["job-1"]
        assert stage.edge.counted == ["delivered"]
        assert not stage.has_audio()

    def test_is_looked_for_at_once_when_the_runner_is_told(self, stage: Stage) -> None:
        async def scene(runner: JobRunner) -> None:
            await stage.until(lambda: stage.store.claims >= 2)
            stage.add()
            runner.wake()
            await stage.until(lambda: stage.state() is JobState.DONE)

        play(stage, scene, poll_s=3600.0)

    def test_stored_before_a_crash_is_delivered_without_a_second_recognition(self, stage: Stage) -> None:
        stage.add()
        assert stage.store.claim_recognition("dead", stage.now, stage.now + timedelta(seconds=10))
        assert stage.store.conclude("dead", "job-1", TRANSCRIPT, stage.now)
        assert stage.store.claim_delivery("dead", stage.now, stage.now + timedelta(seconds=10))
        stage.advance(11)

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.state() is JobState.DONE)

        play(stage, scene)
        assert stage.recognition.ran == []
        assert stage.deliverer.taken == [("job-1", TRANSCRIPT.body)]

    def test_of_a_dead_server_is_taken_over_when_its_lease_is_over(self, stage: Stage) -> None:
        stage.add("left")
        assert stage.store.claim_recognition("dead", stage.now, stage.now + timedelta(seconds=10))
        stage.add("other")

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.state("other") is JobState.DONE)
            assert stage.recognition.ran == ["other"]
            stage.advance(11)
            await stage.until(lambda: stage.state("left") is JobState.DONE)

        play(stage, scene)
        assert stage.recognition.ran == ["other", "left"]

    def test_that_brought_the_server_down_each_time_is_given_up_with_an_error(self, stage: Stage) -> None:
        stage.add()
        for _ in range(3):
            assert stage.store.claim_recognition("dead", stage.now, stage.now + timedelta(seconds=10))
            stage.advance(11)

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.state() is JobState.FAILED)

        play(stage, scene, attempts=3)
        assert stage.recognition.ran == []
        assert stage.deliverer.taken == [("job-1", b"engine_failed")]
        assert stage.jobs.find("job-1").problem == "engine_failed"

    def test_that_finds_no_permit_waits_without_counting_the_attempt(self, stage: Stage) -> None:
        stage.add()
        stage.recognition.failures.append(Overloaded(retry_after_s=5.0))

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: bool(stage.recognition.ran) and stage.state() is JobState.QUEUED)
            assert stage.jobs.find("job-1").attempts == 0
            assert stage.jobs.find("job-1").due == stage.now + timedelta(seconds=5)
            stage.advance(5)
            await stage.until(lambda: stage.state() is JobState.DONE)

        play(stage, scene)
        assert stage.recognition.ran == ["job-1", "job-1"]

    def test_survives_a_store_that_is_away_while_it_is_recognised(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(job_runner, "BUSY_S", 0.001)
        stage.add()

        async def go_away() -> None:
            stage.store.is_down = True

        stage.recognition.before = go_away

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.store.is_down)
            await asyncio.sleep(0.02)
            stage.store.is_down = False
            await stage.until(lambda: stage.state() is JobState.DONE)

        play(stage, scene)
        assert stage.recognition.ran == ["job-1"]

    @pytest.mark.parametrize("url", ["", "https://example.com/a.wav"])
    def test_that_cannot_be_recognised_keeps_its_audio_only_where_nothing_else_has_it(self, stage: Stage, url: str) -> None:
        stage.add(audio_url=url)
        stage.recognition.outcome = Outcome(b"{}", "application/json", "bad_audio")

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.state() is JobState.FAILED)

        play(stage, scene)
        assert stage.has_audio() is (url == "")


class TestSeveral:
    def test_no_more_are_recognised_at_a_time_than_allowed(self, stage: Stage) -> None:
        for index in range(6):
            stage.add(f"job-{index}")
        go_on = asyncio.Event()
        stage.recognition.before = go_on.wait

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.recognition.running == 2)
            claims = stage.store.claims
            await stage.until(lambda: stage.store.claims > claims + 3)
            go_on.set()
            await stage.until(lambda: stage.store.counts() == {JobState.DONE: 6})
            assert not any(stage.has_audio(f"job-{index}") for index in range(6))

        play(stage, scene, parallel=2)
        assert stage.recognition.most_running == 2

    def test_two_servers_on_one_store_run_each_job_once(self, stage: Stage) -> None:
        names = [f"job-{index:02}" for index in range(20)]
        for name in names:
            stage.add(name)

        async def scene(_: JobRunner) -> None:
            second = stage.runner(parallel=3)
            second.start(stage.edge)  # type: ignore[arg-type]
            await stage.until(lambda: len(stage.deliverer.taken) >= 20)
            await stage.until(lambda: stage.store.counts() == {JobState.DONE: 20})
            await second.stop(5.0)

        play(stage, scene, parallel=3)
        assert sorted(stage.recognition.ran) == names
        assert sorted(name for name, _ in stage.deliverer.taken) == names

    def test_a_delivery_that_hangs_keeps_no_recognition_waiting(self, stage: Stage) -> None:
        stage.add("first")
        hanging = asyncio.Event()

        async def hang() -> None:
            stage.deliverer.before = None
            await hanging.wait()

        stage.deliverer.before = hang

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.state("first") is JobState.DELIVERING)
            stage.add("second")
            await stage.until(lambda: stage.state("second") is JobState.DONE)
            assert stage.state("first") is JobState.DELIVERING
            hanging.set()
            await stage.until(lambda: stage.state("first") is JobState.DONE)

        play(stage, scene)


class TestDeliveries:
    def test_are_repeated_at_their_distance(self, stage: Stage) -> None:
        stage.add()
        stage.deliverer.failures.extend([DeliveryFailed("status 500"), RuntimeError("with a secret URL")])

        async def scene(_: JobRunner) -> None:
            for failures, problem in enumerate(["status 500", "RuntimeError"], start=1):
                await stage.until(lambda wanted=failures: stage.jobs.find("job-1").deliveries == wanted)  # type: ignore[misc]
                job = stage.jobs.find("job-1")
                assert (job.state, job.problem) == (JobState.DELIVERING, problem)
                assert job.due == stage.now + timedelta(seconds=30)
                stage.advance(30)
            await stage.until(lambda: stage.state() is JobState.DONE)

        play(stage, scene)
        assert stage.edge.counted == ["failed", "failed", "delivered"]
        assert stage.recognition.ran == ["job-1"]

    def test_end_after_the_last_retry(self, stage: Stage) -> None:
        stage.add()
        stage.deliverer.failures.extend([DeliveryFailed("status 500")] * 3)

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.state() is JobState.FAILED)

        play(stage, scene, retries=2, retry_s=0.0)
        assert stage.edge.counted == ["failed", "failed", "given_up"]
        assert stage.jobs.find("job-1").problem == "undeliverable"
        assert stage.jobs.find("job-1").deliveries == 3


class TestCancelling:
    def test_a_running_job_stops_and_its_audio_goes(self, stage: Stage) -> None:
        stage.add()
        stage.recognition.before = asyncio.Event().wait

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.recognition.running == 1)
            assert stage.store.cancel("job-1", stage.now)
            await stage.until(lambda: stage.recognition.running == 0 and not stage.has_audio())

        play(stage, scene)
        assert stage.state() is JobState.CANCELLED
        assert stage.deliverer.taken == []

    def test_a_job_that_another_server_took_over_stops_here_and_keeps_its_audio(self, stage: Stage) -> None:
        stage.add()
        stage.recognition.before = asyncio.Event().wait

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.recognition.running == 1)
            stage.store.hand_over("job-1", "other", stage.now + timedelta(seconds=10))
            await stage.until(lambda: stage.recognition.running == 0)

        play(stage, scene)
        assert stage.state() is JobState.RUNNING
        assert stage.has_audio()


class TestStopping:
    def test_queues_what_runs_again(self, stage: Stage) -> None:
        stage.add()
        stage.recognition.before = asyncio.Event().wait

        async def scene(_: JobRunner) -> None:
            await stage.until(lambda: stage.recognition.running == 1)

        play(stage, scene)
        assert (stage.state(), stage.jobs.find("job-1").attempts) == (JobState.QUEUED, 0)
        assert stage.has_audio()

    def test_lets_a_delivery_end(self, stage: Stage) -> None:
        stage.add()
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            begun.set()
            await go_on.wait()

        stage.deliverer.before = hold

        async def scene(runner: JobRunner) -> None:
            await begun.wait()
            stopping = asyncio.ensure_future(runner.stop(5.0))
            await asyncio.sleep(0)
            go_on.set()
            await stopping

        play(stage, scene)
        assert stage.state() is JobState.DONE

    def test_takes_nothing_more(self, stage: Stage) -> None:
        async def scene(runner: JobRunner) -> None:
            await runner.stop()
            stage.add()
            runner.wake()
            await asyncio.sleep(0.02)

        play(stage, scene)
        assert stage.state() is JobState.QUEUED


def test_old_jobs_and_files_that_belong_to_none_are_removed(stage: Stage) -> None:
    stage.add("old")
    assert stage.store.claim_recognition("w", NOW, NOW)
    assert stage.store.conclude("w", "old", Outcome(b"", "", "engine_failed"), NOW)
    assert stage.store.claim_delivery("w", NOW, NOW)
    assert stage.store.finish("w", "old", NOW, EngineFailed.kind.value)
    with stage.jobs.spool.create("orphan") as file:
        file.write(b"sound")
    stage.now = datetime.now(timezone.utc) + timedelta(days=30)  # files know the real time only
    stage.add("new")
    stage.recognition.before = asyncio.Event().wait

    async def scene(_: JobRunner) -> None:
        await stage.until(lambda: not stage.has_audio("orphan") and not stage.has_audio("old"))

    play(stage, scene)
    assert [job.job_id for job in stage.jobs.list()] == ["new"]
    assert stage.has_audio("new")
