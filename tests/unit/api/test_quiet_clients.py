"""Clients whose protocols have no KeepAlive, with everything between their socket and the engine: they may be silent."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from starlette.websockets import WebSocket

from app.api.diction import DictationLink
from app.api.openai_socket import OpenAiSocket
from app.api.realtime import RealtimeLink
from app.audio.live import LiveDecoders
from app.dialects.diction_stream import parse_handshake
from app.dialects.openai_realtime import Conversation
from app.dialects.openai_realtime_session import SessionConfig, Shape, TurnDetection
from app.domain.audio import AudioLimits
from app.domain.options import DecodeOptions, LiveOptions
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from app.services.hearing import Hearing
from app.services.inbox import ClientLink
from app.services.joint_vad import JointVad
from app.services.stream import LiveStream
from tests.support.live_shell import run_virtually
from tests.support.live_talk import tone
from tests.support.socket_line import Line

IDLE_TIMEOUT_S = 10.0
COFFEE_S = 600.0


def play(
    options: LiveOptions,
    link: Callable[[OpenAiSocket], ClientLink],
    say_all: Callable[[Line], Awaitable[None]],
    *speech: tuple[float, float],
) -> Line:
    """Run one stream with ``link`` on it to its end, or until the client has said all and hangs up."""

    async def run() -> Line:
        line = Line()
        messages = OpenAiSocket(cast("WebSocket", line), IDLE_TIMEOUT_S / 3)
        decoder = LiveDecoders().open(options.audio_format, AudioLimits(60))
        vad = JointVad(ScriptedVad(*(speech or ((0.0, 3600.0),))), gather_s=0)
        async with ScriptedPool(ScriptedEngine(say("Hello world."))).admit(live=True) as session:
            hearing = Hearing(decoder, vad, multichannel=False, inline_bytes=1 << 30)
            stream = LiveStream(link(messages), session, hearing, options.stream, DecodeOptions())
            talking = asyncio.ensure_future(say_all(line))
            await stream.run()
            await talking
        await messages.forget()
        return line

    return run_virtually(run)


def realtime(turns: TurnDetection | None) -> tuple[LiveOptions, Callable[[OpenAiSocket], ClientLink]]:
    conversation = Conversation(SessionConfig(turn_detection=turns), Shape.GENERAL, lambda _: "base")
    return conversation.options, lambda messages: RealtimeLink(messages, conversation)


def append(seconds: float) -> str:
    sound = base64.b64encode(tone(seconds, 24_000)).decode()
    return json.dumps({"type": "input_audio_buffer.append", "audio": sound})


def kinds(line: Line) -> list[str]:
    return [event["type"].rpartition(".")[2] for event in line.told]


@pytest.mark.parametrize("disturbance", [None, '{"type":"nonsense"}', '{"type":"input_audio_buffer.commit"}'])
def test_a_realtime_session_outlives_long_silence(disturbance: str | None) -> None:
    """Also where what the client sends meanwhile is nothing that the stream hears of."""

    async def talk(line: Line) -> None:
        for _ in range(100):
            await asyncio.sleep(COFFEE_S / 100)
            if disturbance is not None:
                line.put(disturbance)
        line.put(append(1.0))
        line.put('{"type":"input_audio_buffer.commit"}')
        await asyncio.sleep(COFFEE_S)
        line.hang_up()

    line = play(*realtime(None), talk)
    assert line.closed == []
    assert [event["transcript"] for event in line.told if "transcript" in event] == ["Hello world."]


def test_a_turn_whose_sound_stops_coming_is_ended() -> None:
    async def talk(line: Line) -> None:
        line.put(append(1.0))
        await asyncio.sleep(COFFEE_S)
        line.hang_up()

    line = play(*realtime(TurnDetection()), talk)
    assert line.closed == []
    assert kinds(line)[-1] == "completed"
    assert line.told[-1]["transcript"] == "Hello world."


def test_a_dictation_may_pause() -> None:
    async def talk(line: Line) -> None:
        line.put(tone(1.0))
        await asyncio.sleep(COFFEE_S)
        line.put('{"action":"done"}')

    options = parse_handshake(b"language=en")
    line = play(options, DictationLink, talk)
    assert line.told == [{"text": "Hello world."}]
    assert line.closed == [1000]
