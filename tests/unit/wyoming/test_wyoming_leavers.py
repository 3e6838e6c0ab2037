"""Clients that leave in the middle, and what they leave behind: nothing."""

from __future__ import annotations

import asyncio

import pytest
from wyoming.asr import Transcribe
from wyoming.audio import AudioStart

from app.domain.errors import InvalidPayload
from app.wyoming.connection import Connection
from tests.unit.wyoming.test_wyoming_connection import hold, line, read
from tests.unit.wyoming.test_wyoming_server import Stage, serve


def test_the_end_of_a_connection_can_be_read_again() -> None:
    async def scenario(connection: Connection, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        assert await connection.next() is None
        assert await connection.next(5.0) is None
        assert not await connection.peek()

    hold(scenario)


def test_a_connection_that_ends_in_mid_command_gives_its_place_to_the_next() -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(3):
            async with stage.client() as client:
                await client.write_event(Transcribe(language="en").event())
                await client.write_event(AudioStart(16_000, 2, 1).event())
                while not stage.live.active:
                    await asyncio.sleep(0.001)
            while stage.live.active or stage.server.connections:
                await asyncio.sleep(0.001)  # the time limit of the scenario ends this

    serve(scenario, max_connections=1)


def test_halves_of_characters_are_no_event() -> None:
    with pytest.raises(InvalidPayload):
        read(line(type="ping", data={"text": "\ud800"}))
