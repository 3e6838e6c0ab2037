"""Which models have workers: started on first use, once, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from app.domain.errors import Unavailable
from app.domain.ports import EnginePool, InstalledModel

StartPool = Callable[[InstalledModel], Awaitable[EnginePool]]


class ResidentModels:
    """The pools of all models in use. Two requests for a model that is not loaded load it once."""

    def __init__(self, start_pool: StartPool) -> None:
        self._start_pool = start_pool
        self._starting: dict[str, asyncio.Task[EnginePool]] = {}
        self._closed = False

    async def pool(self, model: InstalledModel) -> EnginePool:
        """The model's workers, started if need be. A failed start is tried again by the next request.

        A caller that goes away does not stop the loading that others wait for.
        """
        if self._closed:
            raise Unavailable
        name = model.info.name
        task = self._starting.get(name)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.ensure_future(self._start_pool(model))
            self._starting[name] = task
        return await asyncio.shield(task)

    @property
    def ready(self) -> tuple[tuple[str, EnginePool], ...]:
        """Name and pool of every model that is loaded."""
        return tuple(
            (name, task.result())
            for name, task in self._starting.items()
            if task.done() and not task.cancelled() and task.exception() is None
        )

    async def close(self) -> None:
        """Stop every worker; nothing can be started afterwards."""
        self._closed = True
        for task in self._starting.values():
            if not task.done():
                task.cancel()
        await asyncio.gather(*self._starting.values(), return_exceptions=True)
        await asyncio.gather(*(pool.close() for _, pool in self.ready))
