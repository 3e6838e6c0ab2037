"""Who leaves when, on virtual time."""

from __future__ import annotations

import random

from app.domain.residency import FOR_EVER_S, Resident, can_ever_fit, expired, expiry_s, leavers, next_expiry_s

OLD = Resident("old", 300, last_used_s=10.0)
NEW = Resident("new", 200, last_used_s=50.0)


def pinned(name: str, memory_bytes: int, last_used_s: float = 0.0) -> Resident:
    return Resident(name, memory_bytes, last_used_s, is_pinned=True)


def test_a_model_leaves_when_its_time_after_the_last_use_is_over_and_not_before() -> None:
    assert expired([OLD, NEW], 60.0, 69.9) == ()
    assert expired([OLD, NEW], 60.0, 70.0) == ("old",)
    assert expired([OLD, NEW], 60.0, 110.0) == ("old", "new")


def test_without_an_end_nobody_leaves() -> None:
    assert expired([OLD, NEW], FOR_EVER_S, 1e12) == ()
    assert expiry_s(OLD, FOR_EVER_S) is None


def test_a_time_of_nothing_lets_a_model_go_at_once() -> None:
    assert expired([NEW], 0.0, 50.0) == ("new",)


def test_used_and_pinned_models_do_not_expire() -> None:
    assert expired([Resident("used", 1, 0.0, users=1), pinned("kept", 1)], 1.0, 1e9) == ()


def test_the_next_end_is_that_of_the_least_recently_used_which_may_leave() -> None:
    assert next_expiry_s([NEW, OLD, pinned("kept", 1)], 60.0) == 70.0
    assert next_expiry_s([pinned("kept", 1)], 60.0) is None


def test_nobody_leaves_while_there_is_room() -> None:
    assert leavers([OLD, NEW], 500, 1000) == ()


def test_the_least_recently_used_leaves_first_and_no_more_than_needed() -> None:
    assert leavers([NEW, OLD], 501, 1000) == ("old",)
    assert leavers([NEW, OLD], 801, 1000) == ("old", "new")


def test_models_in_use_stay_and_others_go_in_their_place() -> None:
    used = Resident("used", 300, last_used_s=1.0, users=2)
    assert leavers([used, OLD, NEW], 300, 1000) == ("old",)


def test_nobody_leaves_in_vain() -> None:
    used = Resident("used", 800, last_used_s=1.0, users=1)
    assert leavers([used, NEW], 300, 1000) is None


def test_room_that_pinned_models_take_is_never_there() -> None:
    assert can_ever_fit([pinned("kept", 600), OLD, NEW], 400, 1000)
    assert not can_ever_fit([pinned("kept", 600), OLD, NEW], 401, 1000)


def test_whatever_leaves_it_is_enough_and_the_rest_was_used_later() -> None:
    draw = random.Random(7)  # noqa: S311 - the same cases each time
    for _ in range(300):
        residents = [
            Resident(str(number), draw.randint(1, 400), draw.random(), draw.choice([0, 0, 1]), draw.random() < 0.2)
            for number in range(draw.randint(0, 8))
        ]
        needed, budget = draw.randint(0, 500), draw.randint(200, 1500)
        names = leavers(residents, needed, budget)
        going = [each for each in residents if names is not None and each.name in names]
        staying = [each for each in residents if each not in going]
        free = [each for each in residents if each.may_leave]
        if names is None:
            assert sum(each.memory_bytes for each in residents if each not in free) + needed > budget
            continue
        assert all(each.may_leave for each in going)
        assert sum(each.memory_bytes for each in staying) + needed <= budget
        last_s = max((each.last_used_s for each in going), default=-1.0)
        assert all(each.last_used_s >= last_s for each in staying if each.may_leave)
