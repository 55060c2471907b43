"""What a caller does, step by step; read from YAML.

steps:
  - wait: {silence_ms: 700}              # the agent has spoken and is then quiet
  - say: What are your opening hours?
  - wait: {agent_speaks: true}
  - interrupt: {after_words: 4, say: "Wait, one more question."}
  - press: "12#"
  - pause_ms: 500
  - stay_silent: {seconds: 5, rtp: false}
  - play: sounds/cough.wav               # beside the script, or absolute
  - burst                                # a tone of 20 ms, for measuring
  - wait_hang_up: 10
  - hang_up
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from thirdring.errors import ConfigError, Problem

__all__ = [
    "Burst",
    "HangUp",
    "Interrupt",
    "Pause",
    "Play",
    "Press",
    "Say",
    "Script",
    "StaySilent",
    "Step",
    "Wait",
    "WaitHangUp",
    "load_script",
]

_Seconds = Annotated[float, Field(gt=0, le=600)]
_Milliseconds = Annotated[int, Field(gt=0, le=600_000)]
_Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\w")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Say(_Part):
    say: _Text


class Expectation(_Part):
    """What to wait for; more than `timeout_s` without it and the call is not as planned.

    Attributes:
        silence_ms: The agent has spoken since the caller did, and is then quiet for so long.
        agent_speaks: It has begun to speak since the caller did.
    """

    silence_ms: _Milliseconds | None = None
    agent_speaks: bool = False
    timeout_s: _Seconds = 15.0

    @model_validator(mode="after")
    def _waits_for_one_thing(self) -> Self:
        if (self.silence_ms is not None) == self.agent_speaks:
            raise ValueError("needs either silence_ms or agent_speaks: true")
        return self


class Wait(_Part):
    wait: Expectation


class Interruption(_Part):
    """When to speak over the agent, and what.

    Attributes:
        after_words: Estimated from how long the agent has been speaking, at 2.5 words a second.
    """

    after_words: Annotated[int, Field(ge=0, le=500)] | None = None
    after_ms: Annotated[int, Field(ge=0, le=600_000)] | None = None
    say: _Text
    timeout_s: _Seconds = 15.0

    @model_validator(mode="after")
    def _begins_at_one_time(self) -> Self:
        if (self.after_words is None) == (self.after_ms is None):
            raise ValueError("needs either after_words or after_ms")
        return self


class Interrupt(_Part):
    interrupt: Interruption


class Press(_Part):
    press: Annotated[str, Field(pattern=r"^[0-9*#A-D]{1,64}$")]


class Pause(_Part):
    pause_ms: _Milliseconds


class Quiet(_Part):
    """Attributes:
    rtp: False sends no packets at all, as phones do that suppress silence.
    """

    seconds: _Seconds
    rtp: bool = True


def _seconds_alone(value: object) -> object:
    return {"seconds": value} if isinstance(value, int | float) else value


class StaySilent(_Part):
    stay_silent: Annotated[Quiet, BeforeValidator(_seconds_alone)]


class Play(_Part):
    """A WAV file of 16 bit; any rate."""

    play: Path


class Burst(_Part):
    burst: bool = True


class WaitHangUp(_Part):
    """The far end hangs up within so many seconds."""

    wait_hang_up: _Seconds


class HangUp(_Part):
    hang_up: bool = True


Step = Say | Wait | Interrupt | Press | Pause | StaySilent | Play | Burst | WaitHangUp | HangUp

_STEPS: Final[Mapping[str, type[Step]]] = {
    "say": Say,
    "wait": Wait,
    "interrupt": Interrupt,
    "press": Press,
    "pause_ms": Pause,
    "stay_silent": StaySilent,
    "play": Play,
    "burst": Burst,
    "wait_hang_up": WaitHangUp,
    "hang_up": HangUp,
}


class Script(_Part):
    """One caller.

    Attributes:
        rtp: False sends no packets from the answer on, until something is said.
    """

    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    rtp: bool = True


def load_script(path: Path) -> Script:
    """Return the script in a YAML file; `play` paths are made absolute.

    Raises:
        ConfigError: It cannot be read; with every problem and its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        raise _unreadable(path, 1, 1, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, 1, 1, "not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _unreadable(path, line, column, error.problem or "not YAML") from error
    steps = data.get("steps") if isinstance(data, dict) else None
    if not isinstance(steps, list) or root is None:
        raise _unreadable(path, 1, 1, "has no list `steps`")
    problems: list[Problem] = []
    parsed = [_parse_step(path, root, number, step, problems) for number, step in enumerate(steps)]
    rest = {key: value for key, value in data.items() if key != "steps"}
    good = [step for step in parsed if step is not None]
    try:
        script = Script.model_validate({**rest, "steps": good or [HangUp()]})
    except ValidationError as error:
        problems += _problems(path, root, (), error)
    if not steps:
        problems.append(Problem(str(path), 1, 1, "steps", "is empty", None, "at least one step"))
    if problems:
        raise ConfigError(problems)
    return script


def _parse_step(
    path: Path, root: yaml.Node, number: int, step: object, problems: list[Problem]
) -> Step | None:
    """Return the step, or add to `problems`."""
    where = ("steps", number)
    if isinstance(step, str):
        step = {step: True} if step in ("hang_up", "burst") else {step: None}
    name = next(iter(step), None) if isinstance(step, dict) else None
    if not (isinstance(step, dict) and isinstance(name, str) and name in _STEPS and len(step) == 1):
        line, column = _position(root, where)
        near = difflib.get_close_matches(str(name), _STEPS, n=1)
        expected = f"did you mean `{near[0]}`?" if near else f"one of {', '.join(_STEPS)}"
        got = None if name is None else str(name)[:60]
        problems.append(
            Problem(str(path), line, column, _dotted(where), "no such step", got, expected)
        )
        return None
    try:
        parsed = _STEPS[name].model_validate(step)
    except ValidationError as error:
        problems += _problems(path, root, where, error)
        return None
    return Play(play=path.parent / parsed.play) if isinstance(parsed, Play) else parsed


def _problems(
    path: Path, root: yaml.Node, where: tuple[str | int, ...], error: ValidationError
) -> list[Problem]:
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        at = (*where, *detail["loc"])
        got = detail["input"] if isinstance(detail["input"], str | int | float) else None
        message = detail["msg"].removeprefix("Value error, ")
        found.append(
            Problem(
                str(path),
                *_position(root, at),
                _dotted(at),
                "is wrong",
                None if got is None else repr(got)[:60],
                message[:1].lower() + message[1:],
            )
        )
    return found


def _position(node: yaml.Node, where: tuple[Any, ...]) -> tuple[int, int]:
    """Return line and column, from 1, of what is nearest to `where`."""
    for key in where:
        inner: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            inner = next((v for k, v in node.value if k.value == str(key)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            inner = node.value[key] if key < len(node.value) else None
        if inner is None:
            break
        node = inner
    return node.start_mark.line + 1, node.start_mark.column + 1


def _dotted(where: tuple[Any, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.removeprefix(".") or "(file)"


def _unreadable(path: Path, line: int, column: int, what: str) -> ConfigError:
    problem = Problem(str(path), line, column, "(file)", what, None, "a call script in YAML")
    return ConfigError([problem])
