"""Frames cut out of a stream of bytes: the same messages as the library reads, however the bytes are divided."""

from __future__ import annotations

import random

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from cli.websocket_frames import FrameSplitter

MAX_BYTES = 1 << 20


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def sound(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - any bytes do


TALK = b"".join(
    [
        frame(Opcode.BINARY, sound(3200)),
        frame(Opcode.TEXT, b'{"type":"KeepAlive"}'),
        frame(Opcode.BINARY, b""),
        frame(Opcode.BINARY, sound(125)),
        frame(Opcode.PING, b"ping"),
        frame(Opcode.BINARY, sound(126)),
        frame(Opcode.BINARY, sound(40), fin=False),
        frame(Opcode.PONG, b""),
        frame(Opcode.CONT, sound(70_000), fin=False),
        frame(Opcode.CONT, b"end"),
        frame(Opcode.BINARY, sound(65_535)),
        frame(Opcode.BINARY, sound(65_536)),
        frame(Opcode.CLOSE, (1000).to_bytes(2, "big")),
    ]
)


def connection() -> ServerProtocol:
    library = ServerProtocol(state=OPEN, max_size=MAX_BYTES)
    library.logger.disabled = True
    return library


def read_by_library(data: bytes) -> list[tuple[Opcode, bytes, bool]]:
    library = connection()
    library.receive_data(data)
    return [(event.opcode, bytes(event.data), event.fin) for event in library.events_received() if isinstance(event, Frame)]


def read_by_us(*parts: bytes) -> list[tuple[Opcode, bytes, bool]]:
    """With the library for what the splitter leaves to it."""
    library, splitter = connection(), FrameSplitter(MAX_BYTES)
    read = []
    for part in parts:
        for is_sound, data in splitter.split(part):
            if is_sound:
                read.append((Opcode.BINARY, data, True))
            else:
                library.receive_data(data)
                events = library.events_received()
                read += [(event.opcode, bytes(event.data), event.fin) for event in events if isinstance(event, Frame)]
    return read


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, 3208, 65_537, len(TALK)])
def test_the_division_of_the_bytes_changes_nothing(size: int) -> None:
    expected = read_by_library(TALK)
    assert len(expected) == 13
    assert read_by_us(*(TALK[begin : begin + size] for begin in range(0, len(TALK), size))) == expected


@pytest.mark.parametrize("seed", range(20))
def test_so_does_any_other(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    cuts = sorted(chance.randrange(len(TALK)) for _ in range(chance.randrange(1, 60)))
    parts = [TALK[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(TALK)], strict=True)]
    assert read_by_us(*parts) == read_by_library(TALK)


def test_whole_binary_messages_do_not_reach_the_library() -> None:
    data = frame(Opcode.BINARY, sound(3200)) * 3
    assert list(FrameSplitter(MAX_BYTES).split(data)) == [(True, sound(3200))] * 3


@pytest.mark.parametrize(
    "bad",
    [
        Frame(Opcode.BINARY, sound(10)).serialize(mask=False),
        frame(Opcode.BINARY, sound(MAX_BYTES + 1)),
        bytes((0x82, 0xFF)) + (1 << 62).to_bytes(8, "big") + bytes(4),
        bytes((0xC2, 0x80)) + bytes(4),
        bytes((0x83, 0x80)) + bytes(4),
        frame(Opcode.CONT, b"of nothing"),
        frame(Opcode.BINARY, b"a", fin=False) + frame(Opcode.BINARY, b"b"),
    ],
    ids=["unmasked", "too large", "absurd", "reserved bit", "unknown kind", "no beginning", "beginning inside"],
)
def test_what_the_library_refuses_it_gets_to_see(bad: bytes) -> None:
    after = frame(Opcode.BINARY, sound(10))
    for size in (1, 5, len(bad) + len(after)):
        library, splitter = connection(), FrameSplitter(MAX_BYTES)
        data = bad + after
        for begin in range(0, len(data), size):
            for is_sound, part in splitter.split(data[begin : begin + size]):
                assert not is_sound or library.parser_exc is not None
                if not is_sound and library.parser_exc is None:
                    library.receive_data(part)
            if library.parser_exc is not None:
                break
        assert library.parser_exc is not None
