"""Every kind of item in every state: it acts, or it is dropped without a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from app.domain.errors import InvalidRequest
from app.domain.stream import events
from app.domain.stream.events import (
    Abort,
    Audio,
    Closed,
    CloseStream,
    Configure,
    Decoded,
    DecodeFailed,
    Finalize,
    KeepAlive,
    Metadata,
    ReadingPaused,
    ReadingResumed,
    SchemaError,
    Shutdown,
    StreamEvent,
    StreamInput,
    Tick,
    Unparsable,
)
from app.domain.stream.machine import TABLE, Reaction, State, StreamMachine
from app.domain.stream.options import StreamOptions
from tests.support.script import Player, hypothesis, talk


def in_state(state: State) -> Player:
    """A stream with one decode (job 1) waiting, or closed in the midst of it."""
    player = Player(StreamOptions(), talk((0.1, "one two"), length_s=1.0), answers=False)
    player.play(0.5)
    if state is State.LISTENING:
        player.send(Finalize())
    elif state is State.DRAINING:
        player.send(CloseStream())
    else:
        player.send(Finalize())
        player.send(Abort(1011, "internal error"))
    assert [job.job_id for job in player.asked] == [1]
    assert player.machine.state is state
    return player


def next_block(player: Player) -> Audio:
    return Audio(np.zeros((1, 512), dtype=np.float32), (np.zeros(1, dtype=np.float32),))


ITEMS: dict[type[StreamInput], Callable[[Player], StreamInput]] = {
    Audio: next_block,
    KeepAlive: lambda _: KeepAlive(),
    Finalize: lambda _: Finalize(),
    CloseStream: lambda _: CloseStream(),
    Shutdown: lambda _: Shutdown(),
    Configure: lambda _: Configure(),
    Unparsable: lambda _: Unparsable("what?"),
    Decoded: lambda _: Decoded(1, hypothesis([])),
    DecodeFailed: lambda _: DecodeFailed(1),
    Tick: lambda _: Tick(),
    ReadingPaused: lambda _: ReadingPaused(),
    ReadingResumed: lambda _: ReadingResumed(),
    Abort: lambda _: Abort(1008, "DATA-0000"),
}


def facts(machine: StreamMachine) -> tuple[object, ...]:
    return (machine.state, machine.received_samples, machine.backlog_samples, machine.deadline(), machine.retained_samples)


def course(player: Player, item: StreamInput | None) -> list[object]:
    """What can be seen of a stream that is given this item, or nothing, and then its waiting decode."""
    seen: list[object] = [player.send(item, at=player.now + 11.0)] if item is not None else [[]]
    seen.append(facts(player.machine))
    return seen + [player.send(Decoded(job.job_id, hypothesis([])), at=player.now) for job in player.asked]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", TABLE)
def test_the_table_holds(kind: type[StreamInput], state: State) -> None:
    player = in_state(state)
    with_it = course(player, ITEMS[kind](player))
    without_it = course(in_state(state), None)
    assert (with_it == without_it) == (TABLE[kind][state] is Reaction.DROP)


def test_every_kind_of_item_is_in_the_table() -> None:
    assert set(TABLE) == set(get_args(events.StreamInput)) == set(ITEMS)


def test_anything_else_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="str"):
        StreamMachine(StreamOptions(), 0.0).receive("CloseStream", 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pcm", "probabilities"),
    [
        (np.zeros((2, 512), np.float32), [np.zeros(1, np.float32)]),
        (np.zeros(512, np.float32), [np.zeros(1, np.float32)]),
        (np.zeros((1, 512), np.float64), [np.zeros(1, np.float32)]),
        (np.zeros((1, 512), np.float32), []),
        (np.zeros((1, 512), np.float32), [np.zeros(0, np.float32)]),
        (np.zeros((1, 511), np.float32), [np.zeros(1, np.float32)]),
        (np.zeros((1, 1024), np.float32), [np.zeros((1, 2), np.float32)]),
    ],
)
def test_audio_that_does_not_fit_is_refused_and_changes_nothing(
    pcm: np.ndarray,  # type: ignore[type-arg]
    probabilities: list[np.ndarray],  # type: ignore[type-arg]
) -> None:
    machine = StreamMachine(StreamOptions(), 0.0)
    before = facts(machine)
    with pytest.raises(InvalidRequest):
        machine.receive(Audio(pcm, tuple(probabilities)), 5.0)
    assert facts(machine) == before


def test_what_ends_a_stream() -> None:
    ends: list[tuple[StreamInput, list[StreamEvent]]] = [
        (CloseStream(), [Metadata(0, 0), Closed(1000, "")]),
        (Shutdown(), [Metadata(0, 0), Closed(1001, "")]),
        (Abort(1008, "DATA-0000"), [Closed(1008, "DATA-0000")]),
    ]
    for item, expected in ends:
        machine = StreamMachine(StreamOptions(), 0.0)
        machine.receive(item, 1.0)
        assert machine.events() == expected
        assert machine.deadline() is None


def test_a_message_that_is_none_is_answered_and_the_stream_goes_on() -> None:
    machine = StreamMachine(StreamOptions(), 0.0)
    machine.receive(Unparsable("{"), 0.0)
    assert machine.events() == [SchemaError("{")]
    assert machine.state is State.LISTENING


def test_events_jobs_and_cancellations_are_given_out_once() -> None:
    machine = StreamMachine(StreamOptions(), 0.0)
    machine.receive(Finalize(), 0.0)
    assert len(machine.events()) == 1
    assert machine.events() == []
    assert machine.jobs() == []
    assert machine.cancelled() == []
