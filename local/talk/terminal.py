"""`python ring.py talk`: type to the agent of a line.

Needs a model only: no livekit-server, no sound device, no terminal. Piped lines are said one by
one, each after the answer to the one before; the end of input hangs up.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from typing import Final, TypeVar

from pydantic import JsonValue

from local.log_file import log_to_file
from local.talk.terminal_call import TypedCall, typed_call
from local.talk.terminal_commands import obey
from local.talk.terminal_input import Lines, kept_terminal
from local.talk.terminal_screen import JsonScreen, PlainScreen
from sip.answering import Switchboard
from thirdring import lines, metadata, workflow
from thirdring.access import require
from thirdring.calls import Ending, EndReason
from thirdring.clock import SystemClock
from thirdring.errors import ConfigError, LegError, Problem
from thirdring.home import Home
from thirdring.settings import Line, Settings
from tools.declared import declared_tools

__all__ = ["talk"]

_T = TypeVar("_T")

_FAILED: Final = 1
_PROMPT: Final = "you    "

_SUMMARIES: Final = {
    EndReason.COMPLETED: "The agent said goodbye and hung up.",
    EndReason.AGENT_HUNG_UP: "The agent hung up.",
    EndReason.CALLER_HUNG_UP: "You hung up.",
    EndReason.LIMIT_REACHED: "The time limit of the workflow ended the call.",
}
"""Endings that are none of a failure."""


async def talk(
    home: Home,
    settings: Settings,
    *,
    line: str | None,
    dispatched: str = "",
    as_json: bool = False,
    verbose: bool = False,
) -> int:
    """Talk until the call is over; return the exit code of the command.

    Args:
        home: Where journal, appointments and log are.
        settings: Who is served.
        line: The number to call, as somebody typed it; None for the one that `dispatched` names,
            else the default one.
        dispatched: What a dispatch would say: metadata, a JSON object.
        as_json: One JSON object per event.
        verbose: The log on standard error, too.

    Raises:
        ConfigError: No such line, metadata that make no sense, or no key for the model.
    """
    require(os.environ, "OPENAI_API_KEY")
    chosen, told = _dispatch(settings, line, dispatched)
    board = Switchboard(settings, workflow.discover(), home, SystemClock(), declared_tools)
    with log_to_file(home.logs / "talk.log", verbose=verbose), kept_terminal():
        source = Lines(_PROMPT)
        screen = JsonScreen() if as_json else PlainScreen(echo=not source.interactive)
        return await _Talk(board, chosen, told, source, screen).run()


def _dispatch(settings: Settings, text: str | None, dispatched: str) -> tuple[Line, str]:
    try:
        said = metadata.parse(dispatched)
    except LegError as error:
        expected = "a JSON object, as docs/worker.md says"
        raise ConfigError(
            [Problem("command", 0, 0, "--metadata", str(error), None, expected)]
        ) from error
    _, chosen = lines.named(settings, text or said.line)
    return chosen, said.model_copy(update={"line": chosen.number}).model_dump_json(
        exclude_none=True
    )


class _Talk:
    """Calls a line, again when asked to, until somebody hangs up."""

    def __init__(
        self,
        board: Switchboard,
        line: Line,
        dispatched: str,
        source: Lines,
        screen: PlainScreen | JsonScreen,
    ) -> None:
        self._board = board
        self._line = line
        self._dispatched = dispatched
        self._source = source
        self._screen = screen
        self._call: TypedCall | None = None
        self._interruptible = False
        self._signal = 0

    async def run(self) -> int:
        """Return the exit code."""
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number, task)
        try:
            while await self._converse():
                pass
        except asyncio.CancelledError:
            if not self._signal:
                raise
            task.uncancel()
            return 128 + self._signal
        assert self._call is not None
        assert self._call.ending is not None
        if self._signal:
            return 128 + self._signal
        return 0 if self._call.ending.reason in _SUMMARIES else _FAILED

    async def _converse(self) -> bool:
        """Make one call; return whether another one is wanted."""
        again = False
        async with typed_call(self._board, self._screen, metadata=self._dispatched) as call:
            self._call = call
            about = _about(self._board, self._line, call)
            self._screen.opened(about)
            await self._answer(call.greeted())
            while not call.over.is_set():
                text = await call.until_over(self._source.next())
                if call.over.is_set():
                    break
                if text is None:
                    call.hang_up()
                elif text.startswith("/"):
                    reply = obey(call, text)
                    again = reply.again
                    self._screen.note(reply.text)
                elif text.strip():
                    problem = await self._answer(call.say(text.strip()))
                    self._screen.note(f"No answer: {problem}" if problem else "")
        assert call.ending is not None
        self._screen.closed(_summary(call.ending), about)
        return again

    async def _answer(self, answered: Awaitable[_T]) -> _T:
        self._interruptible = True
        try:
            return await answered
        finally:
            self._interruptible = False

    def _on_signal(self, number: int, task: asyncio.Task[object]) -> None:
        call = self._call
        if call is None or call.ending is not None:
            self._signal = number
            task.cancel()
        elif number == signal.SIGINT and self._interruptible:
            self._interruptible = False  # the next one hangs up
            call.interrupt()
        else:
            self._signal = number
            call.hang_up()


def _about(board: Switchboard, line: Line, call: TypedCall) -> dict[str, JsonValue]:
    found = board.settings.find(line.number)
    assert found is not None, "the line was taken from these settings"
    return {
        "call_id": call.live.journal.path.stem,
        "business": found[0].name,
        "line": line.number,
        "workflow": line.workflow,
        "model": line.model,
        "journal": str(call.live.journal.path),
    }


def _summary(ending: Ending) -> str:
    known = _SUMMARIES.get(ending.reason)
    return known or f"The call failed ({ending.reason}): {ending.detail or 'no reason is known'}"
