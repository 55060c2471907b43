"""One call as lines on a terminal: SIP ladder, transcript, tools, latencies, in order of time."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from thirdring.calls import Role, ToolUse, Turn
from thirdring.journal import (
    Answered,
    DigitPressed,
    Ended,
    Entry,
    LatencyMeasured,
    ModelFault,
    Opened,
    OutcomeNoted,
    ToolUsed,
    TurnSpoken,
)

__all__ = ["Timeline"]

_STYLES = {
    "sip": "cyan",
    "caller": "green",
    "agent": "magenta",
    "tool": "yellow",
    "noted": "bold yellow",
    "wait": "dim",
    "call": "bold",
    "fault": "bold red",
}

_WAITS = {
    "answer": "until the agent was ready",
    "greeting": "from the answer to its first word",
    "reply": "from the model's end of turn to the agent's first word",
}
_LONGEST_RESULT = 110


class Timeline:
    """Prints what happens, each line with the seconds since the call began."""

    def __init__(self, console: Console, started_at: datetime) -> None:
        self._console = console
        self._started_at = started_at

    def sip(self, at: datetime, *, sent: bool, message: str) -> None:
        """Show one SIP message as the caller's side sees it."""
        arrow = "──▶" if sent else "◀──"
        self._line(at, "sip", f"caller {arrow} gateway  {message}")

    def caller_event(self, event: Mapping[str, Any]) -> None:
        """Show one line of the caller's own report, as far as the journal does not tell it."""
        at = datetime.fromisoformat(event["at"])
        match event["event"]:
            case "sip":
                self.sip(at, sent=event["direction"] == "out", message=event["message"])
            case "audio_started":
                self._line(at, "wait", "first sound of the agent at the caller's ear")
            case _:
                pass

    def entry(self, entry: Entry) -> None:
        """Show one journal entry; running totals are left to the summary."""
        match entry:
            case Opened():
                where = f"line {entry.line}, workflow {entry.workflow}, model {entry.model}"
                self._line(entry.at, "call", where if entry.line else "no line has this number")
            case Answered():
                self._line(entry.at, "call", "answered: the caller hears from now on")
            case TurnSpoken():
                self._turn(entry.turn)
            case ToolUsed():
                self._tool(entry.use)
            case LatencyMeasured():
                latency = entry.latency
                self._line(
                    entry.at, "wait", f"{latency.milliseconds:.0f} ms {_WAITS[latency.kind]}"
                )
            case DigitPressed():
                self._line(entry.at, "caller", f"pressed {entry.digit}")
            case OutcomeNoted():
                self._outcome(entry)
            case ModelFault():
                self._line(entry.at, "fault", f"{entry.source}: {entry.message}")
            case Ended():
                detail = f" ({entry.ending.detail})" if entry.ending.detail else ""
                self._line(entry.ending.at, "call", f"ended: {entry.ending.reason}{detail}")

    def _turn(self, turn: Turn) -> None:
        mark = " — interrupted" if turn.interrupted else ""
        lane = "caller" if turn.role is Role.CALLER else "agent"
        self._line(turn.started_at, lane, f"{turn.text}{mark}")

    def _tool(self, use: ToolUse) -> None:
        arguments = use.arguments if isinstance(use.arguments, dict) else {}
        named = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())
        outcome = use.result if use.error is None else f"refused: {use.error}"
        took = ((use.ended_at or use.started_at) - use.started_at).total_seconds() * 1000
        shown = textwrap.shorten(str(outcome), _LONGEST_RESULT, placeholder=" ...")
        self._line(use.started_at, "tool", f"{use.name}({named}) → {shown}  [{took:.0f} ms]")

    def _outcome(self, noted: OutcomeNoted) -> None:
        known = {key: value for key, value in noted.outcome.items() if value not in (None, [], "")}
        shown = ", ".join(f"{name}={json.dumps(value)}" for name, value in known.items())
        lacks = f"; missing: {', '.join(noted.missing)}" if noted.missing else "; complete"
        self._line(noted.at, "noted", f"{shown}{lacks}")

    def _line(self, at: datetime, lane: str, text: str) -> None:
        seconds = (at - self._started_at).total_seconds()
        line = Text(f"{seconds:7.3f}  ", style="dim")
        line.append(f"{lane:<7}", style=_STYLES[lane])
        line.append(text)
        self._console.print(line, soft_wrap=True)
