"""Models that come and go, with scripted pools and a clock that is set by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.domain.errors import Overloaded, Unavailable
from app.domain.ports import EnginePool, InstalledModel
from app.domain.transcript import ModelInfo
from app.engines.scripted import ScriptedPool
from app.services.residency import ResidentModels
from app.services.resident import ResidencyRules

LIMIT_S = 20


class Weights(ScriptedPool):
    """A pool that says when it ends, and can be held up in that."""

    def __init__(self, house: House, model: InstalledModel) -> None:
        super().__init__()
        self.house = house
        self.model = model
        self.running = 0

    async def close(self) -> None:
        assert not self.running, "unloaded under a job"
        await self.house.may_end.wait()
        await super().close()
        self.house.present.remove(self)


@dataclass
class House:
    """What would be a machine: pools that exist, their memory, and a clock."""

    now_s: float = 0.0
    started: list[str] = field(default_factory=list)
    present: list[Weights] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    measured: dict[str, int] = field(default_factory=dict)
    peak_bytes: int = 0

    async def start(self, model: InstalledModel) -> EnginePool:
        name = model.info.name
        self.started.append(name)
        if name in self.gates:
            await self.gates[name].wait()
        if name in self.failures:
            raise self.failures[name]
        pool = Weights(self, model)
        self.present.append(pool)
        self.peak_bytes = max(self.peak_bytes, sum(each.model.size_bytes for each in self.present))
        return pool

    def measure(self, pool: EnginePool) -> int | None:
        assert isinstance(pool, Weights)
        return self.measured.get(pool.model.info.name)

    @property
    def names(self) -> list[str]:
        return sorted(pool.model.info.name for pool in self.present)


def model(name: str, size_bytes: int = 100) -> InstalledModel:
    return InstalledModel(ModelInfo(name, name, "1"), Path(name), size_bytes, ("en",), False, False)


Scenario = Callable[[House, ResidentModels], Awaitable[None]]


def play(scenario: Scenario, *, ttl_s: float = -1.0, budget_bytes: int | None = None, room_wait_s: float = LIMIT_S) -> None:
    async def whole() -> None:
        house = House()
        house.may_end.set()
        rules = ResidencyRules(
            ttl_s=ttl_s,
            budget_bytes=budget_bytes,
            room_wait_s=room_wait_s,
            measure=house.measure,
            clock=lambda: house.now_s,
        )
        models = ResidentModels(house.start, rules)
        try:
            await asyncio.wait_for(scenario(house, models), LIMIT_S)
        finally:
            house.may_end.set()
            await models.close()
        assert house.present == []

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def touch(models: ResidentModels, which: InstalledModel) -> None:
    async with models.use(which):
        pass


async def hold(models: ResidentModels, which: InstalledModel, until_set: asyncio.Event) -> None:
    async with models.use(which):
        await until_set.wait()


class TestLoading:
    def test_two_requests_load_a_model_once(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            await asyncio.gather(*(touch(models, model("a")) for _ in range(5)))
            assert house.started == ["a"]

        play(scenario)

    def test_loading_one_model_does_not_hold_up_another(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            house.gates["slow"] = asyncio.Event()
            await touch(models, model("quick"))
            waiting = asyncio.ensure_future(touch(models, model("slow")))
            await until(lambda: "slow" in house.started)
            await touch(models, model("quick"))
            await touch(models, model("other"))
            assert not waiting.done()
            house.gates["slow"].set()
            await waiting

        play(scenario)

    def test_a_failed_load_is_told_and_tried_again_by_the_next_request(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            house.failures["a"] = Unavailable("The weights are damaged.")
            outcomes = await asyncio.gather(*(touch(models, model("a")) for _ in range(2)), return_exceptions=True)
            assert [str(each) for each in outcomes] == ["The weights are damaged."] * 2
            assert models.states() == ()
            house.failures.clear()
            await touch(models, model("a"))
            assert house.started == ["a", "a"]

        play(scenario, budget_bytes=100)

    def test_a_caller_that_goes_away_does_not_stop_the_loading_for_others(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            house.gates["a"] = asyncio.Event()
            first = asyncio.ensure_future(touch(models, model("a")))
            second = asyncio.ensure_future(touch(models, model("a")))
            await until(lambda: house.started == ["a"])
            first.cancel()
            house.gates["a"].set()
            await second
            assert first.cancelled()
            assert house.started == ["a"]

        play(scenario)

    def test_stopping_does_not_wait_for_a_load_and_spares_what_is_loaded(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            house.gates["slow"] = asyncio.Event()  # never set
            async with models.use(model("a")):
                waiting = asyncio.ensure_future(touch(models, model("slow")))
                await until(lambda: "slow" in house.started)
                models.stop_loading()
                with pytest.raises(Unavailable):
                    await waiting
                assert house.names == ["a"]
                with pytest.raises(Unavailable):
                    await touch(models, model("b"))

        play(scenario)


class TestTime:
    def test_a_model_leaves_its_time_after_the_last_use(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            await touch(models, model("a"))
            house.now_s = 29.0
            await touch(models, model("a"))
            house.now_s = 58.0
            models.leave_expired()
            assert [state.expires_in_s for state in models.states()] == [1.0]
            house.now_s = 59.0
            models.leave_expired()
            await until(lambda: not house.present)
            await touch(models, model("a"))
            assert house.started == ["a", "a"]

        play(scenario, ttl_s=30.0)

    def test_it_leaves_by_itself(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            await touch(models, model("a"))
            await until(lambda: not house.present)

        play(scenario, ttl_s=0.0)

    def test_what_is_logged_of_it_then_names_no_request_that_has_ended(self) -> None:
        request: ContextVar[str] = ContextVar("request", default="")
        seen: list[str] = []

        async def scenario(house: House, models: ResidentModels) -> None:
            request.set("ended")
            pool = await models.pool(model("a"))
            close = pool.close

            async def watched() -> None:
                seen.append(request.get())
                await close()

            pool.close = watched  # type: ignore[method-assign]
            await until(lambda: not house.present)

        play(scenario, ttl_s=0.0)
        assert seen == [""]

    def test_a_used_model_stays_however_long_the_use_lasts(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            async with models.use(model("a")), models.use(model("a")):
                house.now_s = 1e6
                models.leave_expired()
                (state,) = models.states()
                assert (state.users, state.expires_in_s, state.idle_s) == (2, None, 0.0)
            (state,) = models.states()
            assert (state.users, state.expires_in_s) == (0, 30.0)

        play(scenario, ttl_s=30.0)

    def test_a_pinned_model_stays_until_it_is_unloaded(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            await models.pool(model("a"), pinned=True)
            house.now_s = 1e6
            models.leave_expired()
            assert house.names == ["a"]
            assert await models.unload("a") is None
            assert house.names == []

        play(scenario, ttl_s=30.0)


class TestUnloading:
    def test_a_model_in_use_leaves_after_its_last_user(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            async with models.use(model("a")):
                state = await models.unload("a")
                assert state is not None
                assert state.is_leaving
                assert house.names == ["a"]
            await until(lambda: not house.present)

        play(scenario)

    def test_asking_for_it_again_keeps_it(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            async with models.use(model("a")):
                await models.unload("a")
                await models.pool(model("a"))
            assert [state.is_leaving for state in models.states()] == [False]

        play(scenario)

    def test_what_is_let_go_while_it_is_loaded_leaves_although_it_was_asked_for_before(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            house.gates["a"] = asyncio.Event()
            loading = asyncio.ensure_future(models.pool(model("a")))
            await until(lambda: "a" in house.started)
            state = await models.unload("a")
            assert state is not None
            assert state.is_leaving
            house.gates["a"].set()
            await loading
            await until(lambda: not house.present)

        play(scenario)

    def test_a_model_that_is_not_loaded_has_gone_already(self) -> None:
        async def scenario(_: House, models: ResidentModels) -> None:
            assert await models.unload("a") is None

        play(scenario)

    def test_with_nothing_loaded_the_next_request_is_served_all_the_same(self) -> None:
        async def scenario(_: House, models: ResidentModels) -> None:
            await touch(models, model("a"))
            await models.unload("a")
            assert models.can_serve("a")
            models.stop_loading()
            assert not models.can_serve("a")

        play(scenario)

    def test_one_that_nobody_works_for_does_not_stand_in_the_way_of_the_default_model(self) -> None:
        """A backend that is away was asked for by name; the default model has left and would be loaded again."""

        async def scenario(house: House, models: ResidentModels) -> None:
            await touch(models, model("away"))
            house.present[0].workers = 0
            assert models.can_serve("a")
            assert not models.can_serve("away")
            await touch(models, model("a"))
            assert models.can_serve("a")
            house.present[1].workers = 0
            assert not models.can_serve("a")

        play(scenario)


class TestMemory:
    def test_the_least_recently_used_makes_room(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            for name in ("a", "b", "c"):
                house.now_s += 1
                await touch(models, model(name))
            assert house.names == ["b", "c"]

        play(scenario, budget_bytes=250)

    def test_a_new_model_starts_only_once_the_old_one_has_ended(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            await touch(models, model("a"))
            house.may_end.clear()
            coming = asyncio.ensure_future(touch(models, model("b")))
            await until(lambda: not models.ready)
            for _ in range(20):
                await asyncio.sleep(0)
            assert house.started == ["a"]
            house.may_end.set()
            await coming
            assert house.peak_bytes == 100

        play(scenario, budget_bytes=150)

    def test_a_request_waits_for_models_in_use_to_make_room(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            done = asyncio.Event()
            using = asyncio.ensure_future(hold(models, model("a"), done))
            await until(lambda: house.names == ["a"])
            waiting = asyncio.ensure_future(touch(models, model("b")))
            await until(lambda: len(models.states()) == 2)
            assert house.started == ["a"]
            assert [state.holds_room for state in models.states()] == [True, False]
            done.set()
            await asyncio.gather(using, waiting)
            assert house.names == ["b"]

        play(scenario, budget_bytes=150)

    def test_and_is_told_to_come_back_when_that_takes_too_long(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            async with models.use(model("a")):
                with pytest.raises(Overloaded):
                    await touch(models, model("b"))
                assert house.names == ["a"]

        play(scenario, budget_bytes=150, room_wait_s=0.0)

    def test_a_model_that_never_fits_is_refused_at_once_and_nobody_leaves_for_it(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            await touch(models, model("a"))
            with pytest.raises(Unavailable, match="needs about 2 MB of memory; all models together may have 1 MB"):
                await touch(models, model("big", 2_000_000))
            assert house.names == ["a"]

        play(scenario, budget_bytes=1_000_000)

    def test_what_a_model_really_takes_counts_and_is_remembered(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            house.measured["a"] = 200
            await touch(models, model("a"))
            await until(lambda: models.states()[0].is_measured)
            assert models.states()[0].memory_bytes == 200
            await touch(models, model("b"))  # with what was expected of a, both would fit
            assert house.names == ["b"]
            house.now_s = 1.0
            await touch(models, model("a"))
            assert models.states()[0].memory_bytes == 200

        play(scenario, budget_bytes=250)

    def test_a_model_that_is_never_idle_is_measured_all_the_same(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            await touch(models, model("b"))
            async with models.use(model("a")):
                house.measured["a"] = 250
                await touch(models, model("a"))
                await until(lambda: house.names == ["a"])

        play(scenario, budget_bytes=300)

    def test_a_model_that_turns_out_larger_drives_out_idle_ones(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            house.measured["b"] = 200
            await touch(models, model("a"))
            house.now_s = 1.0
            await touch(models, model("b"))
            await until(lambda: house.names == ["b"])

        play(scenario, budget_bytes=250)

    def test_the_budget_holds_under_a_mixed_load_and_nothing_is_unloaded_under_a_job(self) -> None:
        async def scenario(house: House, models: ResidentModels) -> None:
            draw = random.Random(3)  # noqa: S311 - the same load each time
            kinds = [model(name, size) for name, size in (("a", 100), ("b", 150), ("c", 200), ("d", 250), ("e", 60))]
            served = 0

            async def client() -> None:
                nonlocal served
                for _ in range(40):
                    async with models.use(draw.choice(kinds)) as pool:
                        assert isinstance(pool, Weights)
                        pool.running += 1
                        for _ in range(draw.randint(0, 4)):
                            await asyncio.sleep(0)
                        pool.running -= 1
                    served += 1
                    house.now_s += 1.0
                    await asyncio.sleep(0)

            await asyncio.gather(*(client() for _ in range(6)))
            assert served == 240
            assert house.peak_bytes <= 400
            assert len(house.started) > len(kinds)

        play(scenario, budget_bytes=400, ttl_s=20.0, room_wait_s=1e6)
