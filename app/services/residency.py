"""Which models have workers: started on first use, once; kept while they are used, for a time after that, or for good."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from app.domain.errors import Overloaded, Unavailable
from app.domain.ports import EnginePool, InstalledModel
from app.domain.residency import ModelState, can_ever_fit, expired, leavers, next_expiry_s
from app.services.resident import Entry, ResidencyRules
from app.telemetry import logger

StartPool = Callable[[InstalledModel], Awaitable[EnginePool]]

MEASURE_AGAIN_S = 60.0
"""Seconds between two looks at the memory of a model: the kernel adds up all pages of its processes, 50 ms for four."""

_log = logger(__name__)


class ResidentModels:
    """The pools of all models in use. Two requests for a model that is not loaded load it once. For one event loop."""

    def __init__(self, start_pool: StartPool, rules: ResidencyRules | None = None) -> None:
        self._start_pool = start_pool
        self._rules = rules or ResidencyRules()
        self._entries: dict[str, Entry] = {}
        self._closing: dict[asyncio.Task[None], Entry] = {}
        self._measuring: set[asyncio.Task[None]] = set()
        self._known_bytes: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopping = False

    @asynccontextmanager
    async def use(self, model: InstalledModel) -> AsyncIterator[EnginePool]:
        """The model's workers, loaded if need be. The model stays for as long as the context is open.

        Raises ``Unavailable`` when it cannot be loaded, ``Overloaded`` when models in use leave no room for it. A failed
        start is tried again by the next request; a caller that goes away does not stop the loading that others wait for.
        """
        async with self._held(self._entry(model)) as pool:
            yield pool

    async def pool(self, model: InstalledModel, *, pinned: bool = False) -> EnginePool:
        """The model's workers, loaded if need be, without holding them. ``pinned``: the model stays until ``unload``."""
        entry = self._entry(model)
        entry.is_leaving = False  # now, not when it is loaded: somebody may let it go meanwhile
        async with self._held(entry) as pool:
            entry.is_pinned = entry.is_pinned or pinned
            return pool

    async def unload(self, name: str) -> ModelState | None:
        """Let a model go, pinned or not: at once if nobody uses it, else after its last user. None: it has gone."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        entry.is_pinned = False
        if entry.users or entry.pool is None:
            entry.is_leaving = True
            return self._state(entry)
        await asyncio.shield(self._leave(entry))
        return None

    @property
    def ready(self) -> tuple[tuple[str, EnginePool], ...]:
        """Name and pool of every model that is loaded."""
        return tuple((entry.name, entry.pool) for entry in self._entries.values() if entry.pool is not None)

    def can_serve(self, default: str) -> bool:
        """A worker is alive; or the default model is not loaded, and the next request loads it."""
        pools = dict(self.ready)
        return not self._is_stopping and (default not in pools or any(pool.stats().workers for pool in pools.values()))

    @property
    def budget_bytes(self) -> int | None:
        """What all models may take together; None: no limit."""
        return self._rules.budget_bytes

    def states(self) -> tuple[ModelState, ...]:
        """Every model that is loaded or being loaded, in the order in which they came."""
        return tuple(self._state(entry) for entry in self._entries.values())

    async def measured(self) -> tuple[ModelState, ...]:
        """The same, after a look at the memory that their processes have now."""
        await asyncio.gather(*(self._measure(entry) for entry in self._entries.values()))
        return self.states()

    def leave_expired(self) -> None:
        """Let those go whose time is over. Called by a timer of its own; calling it more often does no harm."""
        residents = [entry.resident() for entry in self._entries.values()]
        for name in expired(residents, self._rules.ttl_s, self._rules.clock()):
            self._leave(self._entries[name])
        self._set_timer()

    def stop_loading(self) -> None:
        """Load nothing any more: whoever waits for a model is told ``Unavailable`` now. What is loaded works on."""
        self._is_stopping = True
        for entry in self._entries.values():
            if entry.loading is not None and not entry.loading.done():
                entry.loading.cancel()

    async def close(self) -> None:
        """Stop every worker; nothing can be started afterwards."""
        self.stop_loading()
        if self._timer is not None:
            self._timer.cancel()
        tasks = [entry.loading for entry in self._entries.values() if entry.loading is not None]
        await asyncio.gather(*tasks, *self._measuring, return_exceptions=True)
        for entry in list(self._entries.values()):
            self._leave(entry)
        await asyncio.gather(*self._closing)

    @asynccontextmanager
    async def _held(self, entry: Entry) -> AsyncIterator[EnginePool]:
        entry.users += 1
        try:
            yield await _loaded(entry)
        finally:
            entry.users -= 1
            entry.last_used_s = self._rules.clock()
            self._measure_if_due(entry)
            if not entry.users:
                self._on_idle(entry)

    def _entry(self, model: InstalledModel) -> Entry:
        if self._is_stopping:
            raise Unavailable
        name = model.info.name
        entry = self._entries.get(name)
        if entry is None:
            memory_bytes = max(self._known_bytes.get(name, 0), self._rules.estimate(model))
            entry = self._entries[name] = Entry(model, memory_bytes, self._rules.clock())
            entry.loading = asyncio.ensure_future(self._load(entry))
            entry.loading.add_done_callback(lambda _: self._on_loaded(entry))
        return entry

    async def _load(self, entry: Entry) -> EnginePool:
        await self._make_room(entry)
        return await self._start_pool(entry.model)

    def _on_loaded(self, entry: Entry) -> None:
        loading = entry.loading
        if loading is None or loading.cancelled() or loading.exception() is not None:
            self._entries.pop(entry.name, None)
            self._change()
            return
        entry.pool = loading.result()
        entry.loading = None
        entry.last_used_s = self._rules.clock()
        if not entry.users:  # all who wanted it have gone
            self._on_idle(entry)

    def _on_idle(self, entry: Entry) -> None:
        if entry.pool is None or self._is_stopping:
            return
        if entry.is_leaving:
            self._leave(entry)
            return
        self._change()
        self._set_timer()

    def _measure_if_due(self, entry: Entry) -> None:
        """After each use, also while others go on: a model that is never idle may have outgrown what was expected."""
        if self._rules.budget_bytes is None or entry.pool is None or self._is_stopping or entry.is_leaving:
            return
        now_s = self._rules.clock()
        if entry.looked_s is not None and now_s - entry.looked_s < MEASURE_AGAIN_S:
            return
        entry.looked_s = now_s
        measuring = asyncio.ensure_future(self._measure(entry))
        self._measuring.add(measuring)
        measuring.add_done_callback(self._measuring.discard)

    def _leave(self, entry: Entry) -> asyncio.Task[None]:
        """Stop the model's workers. Its memory counts until they have ended."""
        self._entries.pop(entry.name, None)
        closing = asyncio.ensure_future(_close(entry))
        self._closing[closing] = entry
        closing.add_done_callback(self._on_ended)
        return closing

    def _on_ended(self, closing: asyncio.Task[None]) -> None:
        del self._closing[closing]
        self._change()

    async def _make_room(self, entry: Entry) -> None:
        """Return once the entry's memory is within the budget, and count it; others leave for it."""
        budget_bytes = self._rules.budget_bytes
        end_s = self._rules.clock() + self._rules.room_wait_s
        while budget_bytes is not None:
            others = [other.resident() for other in self._entries.values() if other.holds_room]
            if not can_ever_fit(others, entry.memory_bytes, budget_bytes):
                needed_mb, budget_mb = entry.memory_bytes / 1e6, budget_bytes / 1e6
                raise Unavailable(
                    f"The model `{entry.name}` needs about {needed_mb:.0f} MB of memory; all models together may have "
                    f"{budget_mb:.0f} MB."
                )
            names = leavers(others, entry.memory_bytes, budget_bytes)
            for name in names or ():
                self._leave(self._entries[name])
            ending_bytes = sum(other.memory_bytes for other in self._closing.values())
            if (
                names == ()
                and sum(other.memory_bytes for other in others) + ending_bytes + entry.memory_bytes <= budget_bytes
            ):
                break
            await self._wait_for_change(end_s - self._rules.clock())
        entry.holds_room = True

    async def _wait_for_change(self, timeout_s: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), max(0.0, timeout_s))
        except asyncio.TimeoutError:
            message = "The memory for models is taken by others that are in use."
            raise Overloaded(message, retry_after_s=self._rules.room_wait_s) from None

    def _change(self) -> None:
        """Wake those who wait for room. A new event each time: one that is cleared could be missed by the next waiter."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _measure(self, entry: Entry) -> None:
        """Note what the model takes. More than was expected: others may have to leave."""
        if entry.pool is None:
            return
        with suppress(OSError):  # a process that ends meanwhile
            found_bytes = await asyncio.to_thread(self._rules.measure, entry.pool)
            if found_bytes is None:
                return
            entry.measured_s = self._rules.clock()
            # never less than expected: workers that have not decoded yet will take their buffers later
            entry.memory_bytes = max(entry.memory_bytes, found_bytes)
            self._known_bytes[entry.name] = entry.memory_bytes
        self._enforce_budget()

    def _enforce_budget(self) -> None:
        if self._rules.budget_bytes is None or self._is_stopping:
            return
        residents = [entry.resident() for entry in self._entries.values() if entry.holds_room]
        names = leavers(residents, 0, self._rules.budget_bytes)
        if names is None:  # those in use are too many; the others go, and these when they may
            names = tuple(resident.name for resident in residents if resident.may_leave)
        for name in names:
            self._leave(self._entries[name])

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        end_s = next_expiry_s((entry.resident() for entry in self._entries.values()), self._rules.ttl_s)
        if end_s is not None and not self._is_stopping:
            delay_s = max(0.0, end_s - self._rules.clock())
            # in no context: the request that set it has ended, and the lines of what leaves then are not its own
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.leave_expired, context=contextvars.Context())

    def _state(self, entry: Entry) -> ModelState:
        return entry.state(self._rules.ttl_s, self._rules.clock())


async def _loaded(entry: Entry) -> EnginePool:
    """The entry's pool, as soon as there is one."""
    loading = entry.loading
    if entry.pool is not None or loading is None:
        assert entry.pool is not None  # noqa: S101 - what is not being loaded has been
        return entry.pool
    await asyncio.wait([loading])  # unlike awaiting it, this tells its cancelling from the caller's
    if loading.cancelled():
        raise Unavailable
    return loading.result()


async def _close(entry: Entry) -> None:
    if entry.pool is not None:
        await entry.pool.close()
        _log.info("model unloaded", model=entry.name)
