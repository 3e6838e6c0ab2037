"""The two ways to get a worker: forked from a nursery that holds the weights, or spawned with weights of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess

from app.domain.errors import Unavailable
from app.engines import wire
from app.engines.workers import (
    FORK_S,
    FORKED_ABORT_S,
    SPAWNED_ABORT_S,
    Worker,
    WorkerSpec,
    reap,
    start_process,
)


class NurseryLauncher:
    """Forks workers from one process that has loaded the weights; starts that process again when it dies."""

    abort_s = FORKED_ABORT_S

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._lock = asyncio.Lock()
        self._nursery: Worker | None = None
        self._control: socket.socket | None = None
        self._processes: dict[Worker, subprocess.Popen[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> wire.Header:
        """Load the weights. Returns the nursery's first message: "ready", or "gpu" where forking is not possible."""
        process, end = start_process(self._spec.command(nursery=True))
        control = end.dup()  # sockets are handed over with blocking calls of one byte; the link owns the other descriptor
        nursery = Worker()
        try:
            await _connect(nursery, end, process)
        except BaseException:
            control.close()
            raise
        self._processes[nursery] = process
        try:
            header = await nursery.wait_ready(None)
        except BaseException:
            control.close()
            process.kill()  # it may be loading, and looks at its socket only after that
            self._watch(nursery)
            raise
        self._watch(nursery)
        if header["op"] == "ready":
            self._nursery, self._control = nursery, control
        else:
            control.close()
        return header

    async def launch(self) -> Worker:
        """Fork a worker, from a new nursery if the old one has died."""
        async with self._lock:
            worker = Worker()
            ours, theirs = socket.socketpair()
            with theirs:
                await worker.connect(ours)
                try:
                    await self._hand_over(theirs)
                except BaseException:
                    await worker.link.close()
                    raise
        return await _ready(worker, FORK_S)

    def process_ids(self) -> tuple[int, ...]:
        """The nursery's."""
        return tuple(process.pid for process in self._processes.values())

    async def close(self) -> None:
        """End the nursery and wait for it."""
        self._closed = True
        for nursery in list(self._processes):
            await nursery.link.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _hand_over(self, end: socket.socket) -> None:
        for _ in range(2):
            if self._control is None:
                await self.start()
            if self._control is None:
                break
            try:
                socket.send_fds(self._control, [b"\0"], [end.fileno()])
            except OSError:
                self._forget_nursery()
            else:
                return
        raise Unavailable("The speech engine could not be started.")

    def _watch(self, nursery: Worker) -> None:
        task = asyncio.get_running_loop().create_task(self._outlive(nursery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _outlive(self, nursery: Worker) -> None:
        """Wait for the end of a nursery; while the pool is open, have another one ready before it is needed."""
        await asyncio.shield(nursery.link.lost)
        await reap(self._processes.pop(nursery))
        if nursery is self._nursery:
            self._forget_nursery()
            async with self._lock:
                if self._control is None and not self._closed:
                    with contextlib.suppress(Unavailable):  # then the next launch tries again and tells why
                        await self.start()

    def _forget_nursery(self) -> None:
        self._nursery = None
        if self._control is not None:
            self._control.close()
            self._control = None


class SpawningLauncher:
    """Starts every worker as a process of its own: on GPUs, whose devices do not survive a fork, and beside Linux."""

    abort_s = SPAWNED_ABORT_S

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._tasks: set[asyncio.Task[None]] = set()

    async def launch(self) -> Worker:
        """Start a process and wait until it has loaded the weights."""
        process, end = start_process(self._spec.command(nursery=False))
        worker = Worker()
        await _connect(worker, end, process)
        task = asyncio.get_running_loop().create_task(self._bury(worker, process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await _ready(worker, None)
        except BaseException:
            process.kill()  # as above; whoever gave up need not wait for gigabytes
            raise

    def process_ids(self) -> tuple[int, ...]:
        """None: each process is a worker."""
        return ()

    async def close(self) -> None:
        """Wait for the processes to end; their sockets are the workers' to close."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    @staticmethod
    async def _bury(worker: Worker, process: subprocess.Popen[bytes]) -> None:
        await asyncio.shield(worker.link.lost)
        await reap(process)


async def _connect(worker: Worker, end: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Take over the server's end; when that is given up, there is no process either."""
    try:
        await worker.connect(end)
    except BaseException:
        end.close()
        process.kill()
        process.wait()
        raise


async def _ready(worker: Worker, timeout_s: float | None) -> Worker:
    """The worker once it is ready; let go of it if it does not get there or nobody waits any more."""
    try:
        await worker.wait_ready(timeout_s)
    except BaseException:
        await worker.link.close()
        raise
    return worker


async def start_nursery(spec: WorkerSpec) -> NurseryLauncher | None:
    """A nursery that has loaded the weights; None if the installed engine build will use a GPU, where forking cannot work.

    Raises ``Unavailable`` with a sentence.
    """
    nursery = NurseryLauncher(spec)
    try:
        header = await nursery.start()
    except BaseException:
        await nursery.close()
        raise
    if header["op"] == "ready":
        return nursery
    await nursery.close()
    return None
