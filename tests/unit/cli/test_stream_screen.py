from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from rich.console import Console

from cli.live_screen import QUIET_DB, JsonLines, Screen
from tests.support.live_server import METADATA, results

CLEAR_LINE = "\x1b[2K"


def shown(*messages: dict[str, Any]) -> str:
    """What a pipe gets."""
    output = io.StringIO()
    screen = Screen(Console(file=output, force_terminal=False, width=80))
    with screen:
        for message in messages:
            screen.take(message)
        screen.show_level(-3.0)
    return output.getvalue()


class Terminal:
    """What a person sees. Understands what is used here: lines, one line up, line cleared, cursor on and off."""

    def __init__(self) -> None:
        self._output = io.StringIO()
        self.screen = Screen(Console(file=self._output, force_terminal=True, width=80, color_system=None))

    @property
    def lines(self) -> list[str]:
        lines, row = [""], 0
        for part in re.findall(r"\x1b\[[?0-9]*[a-zA-Z]|\r|\n|[^\x1b\r\n]+", self._output.getvalue()):
            if part == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            elif part == "\x1b[1A":
                row -= 1
            elif part == "\x1b[2K":
                lines[row] = ""
            elif part[0] not in "\x1b\r":
                lines[row] += part
        return [line for line in lines if line]


class TestPipe:
    def test_finals_are_lines_and_nothing_else_is_printed(self) -> None:
        output = shown(
            {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.1},
            results("good", final=False),
            results("Good morning."),
            results(""),
            {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.0},
            results("How are you?"),
            METADATA,
        )
        assert output == "Good morning.\nHow are you?\n"

    def test_a_long_final_stays_one_line(self) -> None:
        line = "word " * 100 + "end."
        assert shown(results(line)) == f"{line}\n"

    def test_channels_are_told_apart_when_there_are_several(self) -> None:
        first, second = results("Hello.", channel=0, channels=2), results("Goodbye.", channel=1, channels=2)
        assert shown(first, second) == "[0] Hello.\n[1] Goodbye.\n"

    def test_brackets_and_smileys_are_words_and_no_markup(self) -> None:
        assert shown(results("[bold]it[/] :smile: 3 [0]")) == "[bold]it[/] :smile: 3 [0]\n"

    def test_a_transcript_cannot_drive_the_terminal(self) -> None:
        assert shown(results("a\x1b[2J\x07b\r\nc")) == "a [2J b  c\n"

    def test_an_error_of_the_server_goes_to_the_error_output(self, capsys: pytest.CaptureFixture[str]) -> None:
        output = shown({"type": "Error", "variant": "SchemaError", "description": "What?"})
        assert output == ""
        assert capsys.readouterr().err == "The server says: What?\n"

    @pytest.mark.parametrize("message", [{}, {"type": "Results"}, {"type": "Results", "is_final": True, "channel": None}])
    def test_a_message_of_another_shape_shows_nothing(self, message: dict[str, Any]) -> None:
        assert shown(message) == ""


class TestTerminal:
    def test_an_interim_is_replaced_in_place_and_the_final_stays(self) -> None:
        terminal = Terminal()
        with terminal.screen:
            terminal.screen.take(results("good", final=False))
            assert terminal.lines == ["good"]
            terminal.screen.take(results("good morning", final=False))
            assert terminal.lines == ["good morning"]
            terminal.screen.take(results("Good morning."))
            assert terminal.lines == ["Good morning."]
            terminal.screen.take(results("how", final=False))
            assert terminal.lines == ["Good morning.", "how"]
        assert terminal.lines == ["Good morning."]

    def test_each_channel_has_its_own_interim(self) -> None:
        terminal = Terminal()
        with terminal.screen:
            terminal.screen.take(results("how are", final=False, channel=1, channels=2))
            terminal.screen.take(results("hello", final=False, channel=0, channels=2))
            assert terminal.lines == ["[0] hello", "[1] how are"]
            terminal.screen.take(results("Hello.", channel=0, channels=2))
            assert terminal.lines == ["[0] Hello.", "[1] how are"]

    def test_an_error_of_the_server_stays_above_the_interim(self) -> None:
        terminal = Terminal()
        with terminal.screen:
            terminal.screen.take(results("hello", final=False))
            terminal.screen.take({"type": "Error", "description": "What?"})
            assert terminal.lines == ["The server says: What?", "hello"]

    def test_the_level_meter_rises_with_the_sound_below_the_words(self) -> None:
        terminal = Terminal()
        lengths = []
        with terminal.screen:
            terminal.screen.take(results("hello", final=False))
            for level_db in (QUIET_DB - 40, QUIET_DB, QUIET_DB / 2, 0.0, 3.0):
                terminal.screen.show_level(level_db)
                words, *meter = terminal.lines
                assert words == "hello"
                lengths.append(len("".join(meter).strip()))
        assert lengths[0] == lengths[1] == 0
        assert 0 < lengths[2] < lengths[3] == lengths[4]
        assert terminal.lines == []


def test_json_is_every_message_whole_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    messages = [results("héllo\n", final=False), results("Hello."), METADATA]
    display = JsonLines()
    with display:
        for message in messages:
            display.take(message)
            display.show_level(-20.0)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == messages
