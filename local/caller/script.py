"""What a caller does, step by step; read from YAML.

steps:
  - wait: {silence_ms: 700}              # the agent has spoken and is then quiet
  - say: What are your opening hours?
  - wait: {agent_speaks: true}
  - interrupt: {after_words: 4, say: "Wait, one more question."}
  - press: "12#"
  - expect_keys: {keys: "2", timeout_s: 20}  # the far end presses them; or just "2"
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
from typing import Annotated, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from thirdring.errors import ConfigError, Problem
from thirdring.yaml_document import Document, YamlPath, spelled

__all__ = [
    "Burst",
    "ExpectKeys",
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


class Keys(_Part):
    keys: Annotated[str, Field(pattern=r"^[0-9*#A-D]{1,64}$")]
    timeout_s: _Seconds = 15.0


def _keys_alone(value: object) -> object:
    return {"keys": value} if isinstance(value, str) else value


class ExpectKeys(_Part):
    """The far end presses these keys, and no others before them, since the last such step."""

    expect_keys: Annotated[Keys, BeforeValidator(_keys_alone)]


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


Step = (
    Say
    | Wait
    | Interrupt
    | Press
    | ExpectKeys
    | Pause
    | StaySilent
    | Play
    | Burst
    | WaitHangUp
    | HangUp
)

_STEPS: Final[Mapping[str, type[Step]]] = {
    "say": Say,
    "wait": Wait,
    "interrupt": Interrupt,
    "press": Press,
    "expect_keys": ExpectKeys,
    "pause_ms": Pause,
    "stay_silent": StaySilent,
    "play": Play,
    "burst": Burst,
    "wait_hang_up": WaitHangUp,
    "hang_up": HangUp,
}

_A_SCRIPT: Final = "a call script in YAML"


class Script(_Part):
    """One caller.

    Attributes:
        rtp: False sends no packets from the answer on, until something is said.
        expect: What must have come of the call; whoever makes it for a demo checks that.
    """

    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    rtp: bool = True
    expect: JsonValue = None


def load_script(path: Path) -> Script:
    """Return the script in a YAML file; `play` paths are made absolute.

    Raises:
        ConfigError: It cannot be read; with every problem and its line.
    """
    document = Document.read(path, expected="a list `steps`")
    data, problems = document.data, list(document.problems)
    steps = data.get("steps") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(steps, list):
        raise ConfigError(problems or [_problem(document, (), "has no list `steps`", _A_SCRIPT)])
    if not steps:
        problems.append(_problem(document, ("steps",), "is empty", "at least one step"))
    parsed = [_parse_step(document, number, step, problems) for number, step in enumerate(steps)]
    good = [_beside(path, step) for step in parsed if step is not None]
    try:
        script = Script.model_validate({**data, "steps": good or [HangUp()]})
    except ValidationError as error:
        problems += _problems(document, (), error)
    if problems:
        raise ConfigError(problems)
    return script


def _beside(script: Path, step: Step) -> Step:
    return Play(play=script.parent / step.play) if isinstance(step, Play) else step


def _parse_step(
    document: Document, number: int, step: object, problems: list[Problem]
) -> Step | None:
    """Return the step, or add to `problems`."""
    where = ("steps", number)
    if isinstance(step, str):
        step = {step: True} if step in ("hang_up", "burst") else {step: None}
    name = next(iter(step), None) if isinstance(step, dict) else None
    if not (isinstance(step, dict) and isinstance(name, str) and name in _STEPS and len(step) == 1):
        near = difflib.get_close_matches(str(name), _STEPS, n=1)
        expected = f"did you mean `{near[0]}`?" if near else f"one of {', '.join(_STEPS)}"
        problems.append(_problem(document, where, "no such step", expected, got=name))
        return None
    try:
        return _STEPS[name].model_validate(step)
    except ValidationError as error:
        problems += _problems(document, where, error)
        return None


def _problems(document: Document, where: YamlPath, error: ValidationError) -> list[Problem]:
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        at = (*where, *detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        expected = message[:1].lower() + message[1:]
        got = document.places[at].written if at in document.places else None
        found.append(_problem(document, at, "is wrong", expected, got=got))
    return found


def _problem(
    document: Document, where: YamlPath, what: str, expected: str, *, got: str | None = None
) -> Problem:
    place = document.nearest(where)
    shown = None if got is None else got[:60]
    return Problem(document.file, place.line, place.column, spelled(where), what, shown, expected)
