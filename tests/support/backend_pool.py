"""A pool over the stand-in for another server: scenarios are played on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from app.domain.errors import SttError
from app.domain.options import DecodeOptions
from app.domain.ports import JobClass
from app.domain.transcript import Hypothesis
from app.engines.remote import RemotePool
from app.engines.remote_backend import Backend
from tests.support.backend_server import Answer, Asked, BackendServer, Json, Reply, backend_server, good

PCM = np.sin(np.arange(16_000) / 7).astype(np.float32)

Scenario = Callable[[RemotePool, BackendServer], Awaitable[None]]


def play(scenario: Scenario, answer: Callable[[Asked], Answer] = good, **described: Any) -> None:
    """Play ``scenario`` with a pool over a server that gives ``answer``. ``described``: as in ``Backend``."""

    async def whole() -> None:
        async with backend_server(answer) as server:
            pool = await RemotePool.start(Backend("remote", server.url, **({"timeout_s": 20.0} | described)))
            try:
                await asyncio.wait_for(scenario(pool, server), 60)
            finally:
                await pool.close()

    asyncio.run(whole())


def replies(*sequence: Json | Reply) -> Callable[[Asked], Answer]:
    """One after the other, then as a good server."""
    left = iter(sequence)
    return lambda asked: next(left, None) or good(asked)


async def recognise(
    pool: RemotePool, options: DecodeOptions | None = None, job_class: JobClass = JobClass.SHORT_RECORDING
) -> Hypothesis:
    """The hypothesis for ``PCM``."""
    async with pool.admit(live=True) as session:
        return await session.transcribe(PCM, options or DecodeOptions(), job_class)


def failure(answer: Callable[[Asked], Answer], job_class: JobClass = JobClass.SHORT_RECORDING, **described: Any) -> SttError:
    """The error of a decode that must fail."""
    raised: list[SttError] = []

    async def scenario(pool: RemotePool, _: BackendServer) -> None:
        with pytest.raises(SttError) as caught:
            await recognise(pool, job_class=job_class)
        raised.append(caught.value)

    play(scenario, answer, **described)
    return raised[0]
