"""What a talk in the terminal shows: lines for people, or one JSON object per event."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import TextIO

from pydantic import JsonValue

from thirdring.calls import Role
from thirdring.printable import printable
from thirdring.watching import Happening, HasEnded, IsRefused, Spoken, ToolRun, Wait

__all__ = ["JsonScreen", "PlainScreen"]

_WIDTH = 7
_LONGEST_VALUE = 300


class PlainScreen:
    """Lines with the speaker before them; the agent's words as they come.

    Args:
        echo: What the caller says is shown too, for nobody has typed it here.
        out: Standard output unless told otherwise.
    """

    def __init__(self, *, echo: bool, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._echo = echo
        self._coloured = self._out.isatty()
        self._in_turn = False
        self._greeting = True
        self._waited: list[str] = []

    def words(self, text: str) -> None:
        """Write on, beginning a line for a new turn."""
        shown = printable(text)
        if not self._in_turn:
            self._in_turn = True
            shown = self._label("agent", "36") + shown.lstrip()
        self._write(shown)

    def end_of_words(self) -> None:
        """End the line."""
        if self._in_turn:
            self._in_turn = False
            self._write("\n")
            self._greeting = False
            self._show_waits()

    def fixed_line(self, text: str) -> None:
        """Write what the recording says."""
        self._line("agent", "36", text)

    def happening(self, happening: Happening) -> None:
        """Write what is worth a line."""
        match happening:
            case ToolRun():
                self._tool(happening)
            case Wait():
                # A greeting's is known with its first word, a reply's with its last.
                self._waited.append(f"{happening.milliseconds / 1000:.2f} s")
                if happening.kind == "reply" or not self._greeting:
                    self._show_waits()
            case Spoken(role=Role.CALLER) if self._echo:
                self._line("you", "32", happening.text)
            case Spoken(interrupted=True):
                self._line("", "2", "(interrupted)")
            case _:
                pass  # words are there already, and the ending is told with the exit code

    def note(self, text: str) -> None:
        """Write something of ours."""
        for line in text.splitlines():
            self._line("", "2", line)

    def opened(self, call: Mapping[str, JsonValue]) -> None:
        """Say who is called."""
        self.note(f"{call['business']}, {call['line']}: {call['workflow']} by {call['model']}")

    def closed(self, summary: str, call: Mapping[str, JsonValue]) -> None:
        """Say how it ended and where it is written."""
        self.note(f"{summary}\nJournal: {call['journal']} (a courier that runs makes it a record)")

    def _show_waits(self) -> None:
        while self._waited:
            self._line("", "2", self._waited.pop())

    def _tool(self, tool: ToolRun) -> None:
        if tool.state == "started":
            arguments = json.dumps(tool.arguments, ensure_ascii=False)
            self._line("tool", "33", f"{tool.name} {_short(arguments)}")
            return
        result = "nothing" if tool.result is None else tool.result
        verb = {"done": "=", "refused": "refused:", "failed": "failed:"}[tool.state]
        self._line("", "33", f"{verb} {_short(result)} ({tool.seconds or 0:.2f} s)")

    def _line(self, label: str, colour: str, text: str) -> None:
        self.end_of_words()
        text = printable(text)
        if self._coloured and not label:
            text = f"\x1b[{colour}m{text}\x1b[0m"
        self._write(f"{self._label(label, colour)}{text}\n")

    def _label(self, label: str, colour: str) -> str:
        padded = f"{label:<{_WIDTH}}"
        return f"\x1b[{colour}m{padded}\x1b[0m" if self._coloured and label else padded

    def _write(self, text: str) -> None:
        _put(self._out, text)


def _put(out: TextIO, text: str) -> None:
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        # Nobody reads any more, as behind `| head`: the call ends like any that we are told to end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        os.kill(os.getpid(), signal.SIGTERM)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


class JsonScreen:
    """One JSON object per line: those of `thirdring.watching`, and `call`, `fixed_line`, `note`."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def words(self, text: str) -> None:
        """Show nothing: the whole turn follows."""

    def end_of_words(self) -> None:
        """Show nothing."""

    def fixed_line(self, text: str) -> None:
        """Show what the recording says."""
        self._event({"type": "fixed_line", "text": text})

    def happening(self, happening: Happening) -> None:
        """Show it as it is."""
        exclude_none = not isinstance(happening, HasEnded | IsRefused)
        self._event(happening.model_dump(mode="json", exclude_none=exclude_none))

    def note(self, text: str) -> None:
        """Show something of ours."""
        if text:
            self._event({"type": "note", "text": text})

    def opened(self, call: Mapping[str, JsonValue]) -> None:
        """Say who is called, and where it is written."""
        self._event({"type": "call", **call})

    def closed(self, summary: str, call: Mapping[str, JsonValue]) -> None:
        """Show nothing: `ended` has said it."""

    def _event(self, event: Mapping[str, JsonValue]) -> None:
        # ASCII, so that no character of a model can end the line or command the terminal.
        _put(self._out, json.dumps(event) + "\n")
