"""The decode worker: `python -m app.engines.worker_process`. Its standard input is a socket to the server.

As a nursery it loads the weights once, never decodes, and forks a worker for every socket the server hands it: the workers
share the weights' memory pages, and a replacement is there in milliseconds. Otherwise it loads the weights for itself.
Either kind ends when the server's end of its socket is gone, in the middle of a decode too.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from app.domain.errors import EngineFailed, SttError, Unavailable
from app.domain.ports import Aborted
from app.engines import wire
from app.engines.cpu import cpu_problem
from app.engines.gpu import gpu_backends

if TYPE_CHECKING:
    from app.engines.whisper_cpp import WhisperCppEngine

log = logging.getLogger("whisperapi.worker")

CRASHED = 70
"""Exit status after an engine error: the context may be damaged, a fresh worker costs little."""

LOADING_NICENESS = 10
"""How far a nursery that loads stands back behind whoever decodes meanwhile: it gets a tenth of a core that both want, where
it would get half, and the decode's other threads would wait for the one on that core. Where the kernel weighs sessions
against each other (``sched_autogroup_enabled``) a thread's own level counts for nothing: there it is the session's.
"""

_SESSION_LEVEL = Path("/proc/self/autogroup")


def main(arguments: list[str]) -> NoReturn:
    """Serve the socket on standard input until it closes."""
    options = _parse(arguments)
    link = _take_socket()
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # service managers signal whole groups; the server decides when workers end
    started = time.perf_counter()
    try:
        if options.nursery and options.gpu and (backends := gpu_backends()):
            _send(link, {"op": "gpu", "backends": backends})
            os._exit(0)
        engine = load_beside_others(options) if options.nursery else _load(options)
    except Unavailable as error:
        _send(link, {"op": "unavailable", "message": error.message})
        os._exit(1)
    ready = {"op": "ready", "load_s": time.perf_counter() - started, "capabilities": asdict(engine.capabilities)}
    if options.nursery:
        raise_workers(link, engine, ready)
    serve_jobs(link, engine, ready)


def raise_workers(control: socket.socket, engine: WhisperCppEngine, ready: wire.Header) -> NoReturn:
    """Fork a worker for every socket that arrives on ``control``. Never decodes: a fork after that would hang."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the workers; the server watches their sockets
    gc.collect()
    gc.freeze()  # the collector would write to, and so unshare, every page that holds Python objects
    _send(control, ready)
    while True:
        data, sockets, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            control.close()
            serve_jobs(socket.socket(fileno=sockets[0]), engine, ready)
        os.close(sockets[0])


def serve_jobs(link: socket.socket, engine: WhisperCppEngine, ready: wire.Header) -> NoReturn:
    """Answer jobs one by one; a second thread reads the socket, so that aborts are seen during a decode."""
    inbox: queue.SimpleQueue[wire.Frame] = queue.SimpleQueue()
    aborted: set[int] = set()
    threading.Thread(target=_read_frames, args=(link, inbox, aborted), daemon=True).start()
    _send(link, {**ready, "pid": os.getpid()})
    while True:
        frame = inbox.get()
        job: int = frame.header["job"]
        _send(link, {"op": "started", "job": job})
        reply = _answer(engine, frame, partial(aborted.__contains__, job))
        aborted.clear()  # the server gives a worker one job at a time
        _send(link, {**reply, "job": job})
        if reply["op"] == "failed":
            os._exit(CRASHED)


def _read_frames(link: socket.socket, inbox: queue.SimpleQueue[wire.Frame], aborted: set[int]) -> None:
    try:
        while frame := wire.receive(link):
            if frame.header["op"] == "abort":
                aborted.add(frame.header["job"])
            else:
                inbox.put(frame)
    except OSError:
        log.debug("the server's socket broke")
    os._exit(0)


def _answer(engine: WhisperCppEngine, frame: wire.Frame, should_abort: Callable[[], bool]) -> wire.Header:
    pcm = np.frombuffer(frame.payload, dtype="<f4")
    header = frame.header
    engine.threads = header["threads"]
    try:
        if header["op"] == "detect":
            guesses = engine.detect_language(pcm, tuple(header["among"]))
            return {"op": "guesses", "guesses": wire.pack_guesses(guesses)}
        hypothesis = engine.transcribe(pcm, wire.unpack_options(header["options"]), should_abort)
        return {"op": "hypothesis", "hypothesis": wire.pack_hypothesis(hypothesis)}
    except Aborted:
        return {"op": "aborted"}
    except EngineFailed:
        return {"op": "failed"}
    except SttError as error:
        return {"op": "refused", "kind": error.kind.value, "message": error.message}
    except Exception:  # whatever it was, this process is no longer to be trusted
        log.exception("a decode failed in an unexpected way")
        return {"op": "failed"}


def load_beside_others(options: argparse.Namespace) -> WhisperCppEngine:
    """Load in a thread that gives way to others. A process could never get back to their level; on Linux each thread has a
    level of its own, and a fork that of the thread that forks. A session can get back, and every nursery has one of its own.
    """
    stood_back = _set_session_level(LOADING_NICENESS)
    try:
        with ThreadPoolExecutor(1, initializer=_stand_back) as thread:
            return thread.submit(_load, options).result()
    finally:
        attempts = 250 if stood_back else 0
        while attempts and not _set_session_level(0):  # the kernel takes ten changes a second, from all of the machine
            attempts -= 1
            time.sleep(0.02)


def _set_session_level(niceness: int) -> bool:
    """Whether the kernel has taken it."""
    try:
        _SESSION_LEVEL.write_text(str(niceness), encoding="ascii")
    except OSError:
        return False
    return True


def _stand_back() -> None:
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + LOADING_NICENESS)


def _load(options: argparse.Namespace) -> WhisperCppEngine:
    if problem := cpu_problem():
        raise Unavailable(problem)
    from app.engines.whisper_cpp import WhisperCppEngine  # only now: on the wrong CPU the import itself crashes

    flash_attention = options.flash_attention
    if flash_attention is None:
        flash_attention = options.gpu and bool(gpu_backends())
    return WhisperCppEngine.load(options.model, options.threads, use_gpu=options.gpu, flash_attention=flash_attention)


def _send(link: socket.socket, header: wire.Header) -> None:
    try:
        link.sendall(wire.pack(header))
    except OSError:
        os._exit(0)  # nobody is left to answer


def _take_socket() -> socket.socket:
    """The socket on standard input, moved out of the way of libraries that read or print."""
    link = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # a descriptor is wanted, not a path
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return link


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="app.engines.worker_process", description="Decode worker; started by the server.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--flash-attention", action=argparse.BooleanOptionalAction)
    parser.add_argument("--nursery", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
