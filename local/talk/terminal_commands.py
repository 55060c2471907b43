"""What a line that begins with a slash does in a talk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from livekit.agents import llm

from local.talk.terminal_call import TypedCall
from thirdring.workflow import described

__all__ = ["Reply", "obey"]

_KEYS = frozenset("0123456789ABCD*#")


@dataclass(frozen=True)
class Reply:
    """What a command has to say.

    Attributes:
        again: Another call is wanted when this one is over.
    """

    text: str = ""
    again: bool = False


def obey(call: TypedCall, text: str) -> Reply:
    """Do what the line says, and return what is to be shown."""
    name, _, argument = text.strip().partition(" ")
    known = _COMMANDS.get(name.lower())
    if known is None:
        return Reply(f"There is no {name}. These there are:\n{_help()}")
    return known.run(call, argument.strip())


def _help() -> str:
    listed = "\n".join(f"  {name + each.takes:<14} {each.what}" for name, each in _COMMANDS.items())
    return (
        f"{listed}\nEverything else is said to the agent. Ctrl-C stops its answer, or hangs up"
        " where there is none; Ctrl-D hangs up."
    )


def _show_help(_call: TypedCall, _argument: str) -> Reply:
    return Reply(_help())


def _show_tools(call: TypedCall, _argument: str) -> Reply:
    tools = call.session.current_agent.tools
    known = [tool for tool in tools if isinstance(tool, llm.FunctionTool | llm.RawFunctionTool)]
    lines = [f"  {tool.info.name}: {(described(tool) or '-').splitlines()[0]}" for tool in known]
    return Reply("\n".join(lines) or "The agent has no tools.")


def _show_line(call: TypedCall, _argument: str) -> Reply:
    state = call.session.userdata
    line = state.line
    return Reply(
        f"{line.number} of {state.business.name}: {line.workflow}, {line.model}, {line.voice}"
    )


def _show_state(call: TypedCall, _argument: str) -> Reply:
    state = call.session.userdata
    shown = {
        "call": state.leg.call_id,
        "offered slots": ", ".join(state.offered) or "none",
        "refused tools": len(state.refused),
        "journal": call.live.journal.path,
    }
    return Reply("\n".join(f"{name}: {value}" for name, value in shown.items()))


def _show_instructions(call: TypedCall, _argument: str) -> Reply:
    return Reply(str(call.session.current_agent.instructions))


def _press(call: TypedCall, argument: str) -> Reply:
    keys = argument.upper().replace(" ", "")
    if not keys or set(keys) - _KEYS:
        return Reply("Keys are 0-9, A-D, * and #, as in: /press 12#")
    for key in keys:
        call.live.digit(key)
    return Reply(f"Pressed {keys}; it stands in the journal, and the agent hears nothing of it.")


def _again(call: TypedCall, _argument: str) -> Reply:
    call.hang_up()
    return Reply(again=True)


def _quit(call: TypedCall, _argument: str) -> Reply:
    call.hang_up()
    return Reply()


@dataclass(frozen=True)
class _Command:
    what: str
    run: Callable[[TypedCall, str], Reply]
    takes: str = ""


_COMMANDS = {
    "/help": _Command("this list", _show_help),
    "/tools": _Command("what the agent may use", _show_tools),
    "/line": _Command("which line this is, with its model", _show_line),
    "/state": _Command("what the tools know of this call", _show_state),
    "/instructions": _Command("what the model was told", _show_instructions),
    "/press": _Command("press keys of the phone", _press, takes=" KEYS"),
    "/again": _Command("hang up and call once more", _again),
    "/quit": _Command("hang up", _quit),
}
