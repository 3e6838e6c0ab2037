"""All services together, as the edge and the command line hold them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from anyio import to_thread

from app.domain.ports import Deliverer, Fetcher, LiveCallbacks
from app.services.accounts import Accounts
from app.services.catalog import Catalog
from app.services.job_runner import JobRunner
from app.services.jobs import Jobs
from app.services.live import LiveStreams
from app.services.pulls import Pulls
from app.services.residency import ResidentModels
from app.services.transcribe import Transcriber
from app.services.usage import Usage
from app.services.usage_log import UsageLog


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the edge may call."""

    accounts: Accounts
    catalog: Catalog
    models: ResidentModels
    transcriber: Transcriber
    live: LiveStreams
    fetcher: Fetcher
    jobs: Jobs
    job_runner: JobRunner
    deliverer: Deliverer
    live_callbacks: LiveCallbacks
    usage_log: UsageLog
    usage: Usage
    pulls: Pulls
    adapters: tuple[object, ...] = ()
    """What holds a process of its own, perhaps, and is closed with the rest."""

    @property
    def stopping(self) -> bool:
        """Whether the server is on its way out."""
        return self.transcriber.stopping

    @property
    def can_serve(self) -> bool:
        """Whether requests will be answered: a worker is alive, or there will be one as soon as somebody asks."""
        return not self.stopping and self.models.can_serve(self.catalog.default().info.name)

    async def drain(self, timeout_s: float) -> None:
        """Admit nothing more, and let live streams end in order; recordings that run are the web server's to wait for.

        Accepted jobs stop at once: they are on the disk, and go on when a server starts again. Nobody waits for a model that
        is being loaded.
        """
        self.transcriber.stopping = True
        self.models.stop_loading()
        await asyncio.gather(self.live.drain(timeout_s), self.job_runner.stop(timeout_s))

    async def give_up(self) -> None:
        """Break off every decode; whoever waits for one is told ``Unavailable``."""
        await self.models.close()

    async def close(self) -> None:
        """Give everything back, in the event loop that used it."""
        await self.job_runner.stop()
        await self.models.close()
        for adapter in self.adapters:
            close = getattr(adapter, "close", None)
            if close is not None:
                close()
        for store in (self.accounts, self.jobs, self.usage_log):
            await to_thread.run_sync(store.close)
