from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.live_client import connected, converse
from cli.live_options import Query
from cli.main import app
from cli.microphone import Microphone, MicrophoneUnusable, input_devices, loudness_db
from tests.support.live_server import METADATA, live_server, running

DEVICES = [
    {"name": "Speakers", "max_input_channels": 0, "default_samplerate": 48_000.0},
    {"name": "Built-in microphone", "max_input_channels": 2, "default_samplerate": 44_100.0},
    {"name": "Headset", "max_input_channels": 1, "default_samplerate": 48_000.0},
]
PIECE = np.full(1_600, 3_277, "<i2").tobytes()  # a tenth of full scale


class PortAudioError(Exception):
    pass


class FakeSound:
    """sounddevice, as far as it is used: two microphones, one of which knows no 16 kHz.

    ``play`` is what is heard; then ``end`` happens, or else the device is pulled out.
    """

    PortAudioError = PortAudioError

    def __init__(self, play: list[bytes]) -> None:
        self.default = SimpleNamespace(device=[1, 0])
        self.play = play
        self.end: Callable[[], None] | None = None
        self.opened: dict[str, Any] = {}
        self.is_closed = False

    def query_devices(self, device: int | str | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return DEVICES
        if isinstance(device, str):
            found = [each for each in DEVICES if device.lower() in str(each["name"]).lower()]
            if len(found) != 1:
                raise ValueError(f"No input device matching {device!r}")
            return found[0]
        if device is not None and not 0 <= device < len(DEVICES):
            raise PortAudioError(f"Error querying device {device}")
        return DEVICES[1 if device is None else device]

    def check_input_settings(self, device: Any, *, channels: int, dtype: str, samplerate: int) -> None:
        assert (channels, dtype) == (1, "int16")
        if self.query_devices(device, "input")["name"] == "Headset":
            raise PortAudioError("Invalid sample rate")

    def RawInputStream(self, **given: Any) -> FakeStream:  # noqa: N802 -- sounddevice's name
        self.opened = given
        return FakeStream(self, given["callback"], given["finished_callback"])


class FakeStream:
    def __init__(self, sound: FakeSound, heard: Callable[..., None], finished: Callable[[], None]) -> None:
        self._sound = sound
        self._heard = heard
        self._finished = finished

    def start(self) -> None:
        for piece in self._sound.play:
            self._heard(memoryview(piece), len(piece) // 2, None, None)
        (self._sound.end or self._finished)()

    def close(self) -> None:
        self._sound.is_closed = True


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env of the checkout
    for name in list(os.environ):
        if name.startswith("WHISPERAPI_"):
            monkeypatch.delenv(name)


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSound:
    fake = FakeSound([PIECE] * 3)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)  # type: ignore[arg-type]
    return fake


def listen(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(app, ["listen", *arguments])
    assert result.exit_code == status, result.output
    return result


def recorded(microphone: Microphone) -> list[bytes]:
    pieces = []

    async def collect() -> None:
        async for piece in microphone.pieces():
            pieces.append(piece)  # noqa: PERF401 -- the iteration ends with an error

    with pytest.raises(MicrophoneUnusable, match="has stopped"):
        asyncio.run(collect())
    return pieces


class TestMicrophone:
    def test_what_it_hears_is_sent_as_16_khz_linear16_in_tenths_of_a_second(self, sound: FakeSound) -> None:
        levels: list[float] = []
        microphone = Microphone(None, levels.append)
        assert recorded(microphone) == [PIECE] * 3
        assert sound.is_closed
        assert levels == pytest.approx([-20.0] * 3, abs=0.01)
        assert (microphone.name, microphone.sample_rate, microphone.channels) == ("Built-in microphone", 16_000, 1)
        wanted = {"samplerate": 16_000, "blocksize": 1_600, "device": None, "channels": 1, "dtype": "int16"}
        assert {name: sound.opened[name] for name in wanted} == wanted

    def test_a_device_without_16_khz_is_used_at_its_own_rate(self, sound: FakeSound) -> None:
        microphone = Microphone("headset", lambda _: None)
        recorded(microphone)
        assert microphone.sample_rate == 48_000
        assert (sound.opened["samplerate"], sound.opened["blocksize"]) == (48_000, 4_800)
        query = Query(None, None, False, False, None, None, False, False, [])
        assert query.address("ws://h", microphone) == "ws://h?encoding=linear16&sample_rate=48000&channels=1"

    def test_a_device_may_be_given_by_number(self, sound: FakeSound) -> None:
        recorded(Microphone("1", lambda _: None))
        assert sound.opened["device"] == 1

    @pytest.mark.parametrize("device", ["nonesuch", "99"])
    def test_a_device_that_is_not_there_is_a_sentence(self, sound: FakeSound, device: str) -> None:
        with pytest.raises(MicrophoneUnusable, match=f"cannot be used: .*{device}.*--list-devices"):
            Microphone(device, lambda _: None)

    def test_leaving_closes_the_device(self, sound: FakeSound) -> None:
        async def leave() -> None:
            pieces = Microphone(None, lambda _: None).pieces()
            assert await anext(pieces) == PIECE
            assert not sound.is_closed

        asyncio.run(leave())
        assert sound.is_closed

    def test_a_connection_that_stands_still_costs_the_newest_sound_and_says_how_much(self, sound: FakeSound) -> None:
        sound.play = [PIECE] * 605  # all at once: nobody takes any meanwhile
        microphone = Microphone(None, lambda _: None)
        assert len(recorded(microphone)) == 600
        assert microphone.lost_s == pytest.approx(0.5)

    def test_its_sound_reaches_a_server(self, sound: FakeSound) -> None:
        async def run() -> list[dict[str, Any]]:
            heard: list[dict[str, Any]] = []
            async with live_server() as server, connected(server.url, None) as connection:
                with pytest.raises(MicrophoneUnusable):  # pulled out after three pieces
                    await converse(connection, Microphone(None, lambda _: None), heard.append, asyncio.Event())
                assert server.sound == PIECE * 3
            return heard

        assert asyncio.run(run())[-1] == METADATA


class TestMissing:
    def test_without_the_package_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        for arguments in ((), ("--list-devices",)):
            result = listen(*arguments, status=1)
            assert result.stdout == ""
            assert "sounddevice" in result.stderr
            assert '".[mic]"' in result.stderr

    def test_without_the_library_portaudio_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
        monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        assert "libportaudio2" in listen(status=1).stderr


class TestCommand:
    def test_words_are_printed_until_ctrl_c_which_is_the_usual_end(self, sound: FakeSound) -> None:
        sound.end = lambda: signal.raise_signal(signal.SIGINT)
        with running() as server:
            result = listen("--url", server.url, "--key", "abc", "--model", "nova-3")
        assert result.stdout == "Hello world.\n"
        assert result.stderr == "Listening to Built-in microphone. Ctrl-C ends.\n"
        assert server.controls == [{"type": "CloseStream"}]
        assert server.request is not None
        assert server.request.headers["Authorization"] == "Token abc"
        asked = dict(parse_qsl(urlsplit(server.request.path).query))
        form = {"encoding": "linear16", "sample_rate": "16000", "channels": "1"}
        assert asked == form | {"model": "nova-3", "punctuate": "true"}

    def test_a_microphone_that_is_pulled_out_fails_after_the_last_words(self, sound: FakeSound) -> None:
        sound.play = [PIECE] * 610
        with running() as server:
            result = listen("--url", server.url, "--json", status=1)
        assert json.loads(result.stdout.splitlines()[-1]) == METADATA
        assert "1.0 s of speech were not sent" in result.stderr
        assert result.stderr.endswith("Error: The microphone has stopped.\n")

    def test_devices_that_record_are_listed_and_the_default_one_is_marked(self, sound: FakeSound) -> None:
        assert listen("--list-devices").stdout.splitlines() == [
            "*   1  Built-in microphone  (2 channels, 44100 Hz)",
            "    2  Headset  (1 channels, 48000 Hz)",
        ]
        assert [device.name for device in input_devices()] == ["Built-in microphone", "Headset"]

    def test_nobody_there_is_a_sentence_and_the_microphone_is_not_opened(self, sound: FakeSound) -> None:
        result = listen("--url", "ws://127.0.0.1:9", status=1)
        assert "nobody listens there" in result.stderr
        assert sound.opened == {}

    def test_a_wrong_device_is_a_sentence(self, sound: FakeSound) -> None:
        assert "nonesuch" in listen("--device", "nonesuch", status=1).stderr


@pytest.mark.parametrize(("amplitude", "level_db"), [(0, -100.0), (1, -90.3), (3_277, -20.0), (-32_768, 0.0)])
def test_loudness_is_relative_to_full_scale(amplitude: int, level_db: float) -> None:
    assert loudness_db(np.full(100, amplitude, "<i2").tobytes()) == pytest.approx(level_db, abs=0.01)


def test_no_sound_has_a_loudness_too() -> None:
    assert loudness_db(b"") == -100.0
