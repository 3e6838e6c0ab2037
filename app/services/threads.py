"""Blocking work beside the event loop, for what must not be left running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread

T = TypeVar("T")


async def in_thread(work: Callable[..., T], *arguments: Any, on_cancel: Callable[[], None] | None = None) -> T:
    """Run ``work`` in a thread; when cancelled, wait for its end first. ``on_cancel`` may hurry it.

    A file must not be closed under the thread that reads it: libav and libsndfile then crash the process.
    """
    running = asyncio.ensure_future(anyio.to_thread.run_sync(work, *arguments))
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as request:  # noqa: PERF203 - a cancel is what the loop is for
            cancelled = request
            if on_cancel is not None:
                on_cancel()
    if cancelled is not None:
        running.exception()  # nobody else will ask for it
        raise cancelled
    return running.result()
