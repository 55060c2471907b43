"""`script.yaml`: what the deterministic brain says and calls for one workflow.

A script is data: facts taken from the session's instructions, slots that the caller fills, rules
tried in their order, and goals whose steps are gone through until one needs something. What each
key means stands at its class; `dialogue` plays it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from local.documents import read_model
from thirdring.errors import ConfigError, Problem

__all__ = [
    "Call",
    "Goal",
    "Instructed",
    "Rule",
    "Script",
    "Slot",
    "Step",
    "load",
    "load_all",
    "load_own",
]

SMALL_TALK = Path(__file__).with_name("small_talk.yaml")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _keywords(words: Any) -> Any:
    if not isinstance(words, list):
        return words
    if not all(isinstance(word, str | int) for word in words):
        raise ValueError("a word that YAML does not read as text: put it in quotes")
    text = "|".join(str(word) for word in words)
    try:
        return re.compile(rf"\b(?:{text})\b", re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


Keywords = Annotated[re.Pattern[str], BeforeValidator(_keywords)]
"""A list of words, phrases or regular expressions, any of which must occur as whole words.

What is heard comes without punctuation, but with apostrophes.
"""


class Slot(_Part):
    """Something the caller tells.

    Attributes:
        parse: How it is found in what was said. `choice` picks one of the list named by `of`;
            `phrase` is what of `hear` occurs, or else the whole answer to `ask`; `agreement` is
            a yes to `ask`, and a no is left to the rules; `text` is an answer that no rule is for,
            `anything` whatever is answered.
        ask: The question for it; may use `{values}`, and `{value:digits}` for a phone number.
        hear: The words of a `phrase`.
        of: The kept list of a `choice`; each has a `spoken` text such as "9:30 AM".
        take: Which field of the chosen entry is the value; all of it when absent.
        forget: Values that are void once this one changes.
    """

    parse: Literal[
        "day", "name", "phone", "yes_no", "agreement", "choice", "phrase", "text", "anything"
    ]
    ask: str
    hear: Keywords | None = None
    of: str | None = None
    take: str | None = None
    forget: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.parse == "choice" and not self.of:
            raise ValueError("a choice needs `of`, the name of a kept list")
        if (self.parse == "phrase") != (self.hear is not None):
            raise ValueError("`hear` is for a phrase, and a phrase needs it")
        return self


class Call(_Part):
    """A function call; only made when the client declared the function.

    Attributes:
        arguments: Texts may use `{values}`; one that comes out empty is left out.
        keep: Value to set -> path in the JSON result. A result without it counts as refused.
        done: Of this something must occur in a text result; else it counts as refused.
        reread: Values that are void, and asked for anew, when the result wants something read back.
        then: What is said with the result: `{text}` is a text result, `{key}` of a JSON one. When
            absent the goal goes on.
        refused: What is said to a refusal.
        unavailable: What is said when the function was not declared.
        forget: Values that are void after a refusal.
        expect: What the caller answers next: a slot, or a word that rules name.
        ends: Whether the goal is reached.
    """

    tool: str
    arguments: dict[str, str | bool | int] = Field(default_factory=dict)
    keep: dict[str, str] = Field(default_factory=dict)
    done: Keywords | None = None
    reread: tuple[str, ...] = ()
    then: str | None = None
    refused: str | None = None
    unavailable: str | None = None
    forget: tuple[str, ...] = ()
    expect: str | None = None
    ends: bool = False


class Step(_Part):
    """One step of a goal: ask for a slot until it is filled, or call once its `keep` is missing."""

    need: str | None = None
    call: Call | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.need is None) == (self.call is None):
            raise ValueError("a step has either `need` or `call`")
        return self


class Goal(_Part):
    """Steps gone through from the first after every turn.

    Attributes:
        forget: Slots that are void once the goal is reached; what its calls kept is anyway.
    """

    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    forget: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _comes_to_an_end(self) -> Self:
        last = self.steps[-1].call
        if last is None or not last.ends or last.then is None:
            raise ValueError("the last step of a goal is a `call` with `then` and `ends: true`")
        return self


class Rule(_Part):
    """What to do about words of the caller.

    Attributes:
        hear: Any of these.
        unless: None of these.
        expecting: Only as the answer to a question with this `expect`.
        keep: The value that all that was said becomes, for the call to quote.
        say, call, pursue: One of: a text, a call, the name of a goal.
        expect: As in `Call`, with `say`.
    """

    hear: Keywords
    unless: Keywords | None = None
    expecting: str | None = None
    keep: str | None = None
    say: str | None = None
    call: Call | None = None
    pursue: str | None = None
    expect: str | None = None

    @model_validator(mode="after")
    def _one_deed(self) -> Self:
        if sum(deed is not None for deed in (self.say, self.call, self.pursue)) != 1:
            raise ValueError("a rule has exactly one of `say`, `call`, `pursue`")
        return self

    def matches(self, text: str, expecting: str | None) -> bool:
        """Tell whether this rule is for these words."""
        if self.expecting is not None and self.expecting != expecting:
            return False
        if self.unless is not None and self.unless.search(text):
            return False
        return self.hear.search(text) is not None


class Instructed(_Part):
    """What to say when the client's own instructions for a reply, without a quote, hold words."""

    hear: Keywords
    say: str


class Unsure(_Part):
    """What is said to words that nothing is for: the first time, and the second in a row."""

    again: str
    refer: str


class Script(_Part):
    """A whole script.

    Attributes:
        when: Must occur in the session's instructions for this script to be chosen.
        facts: Name -> regular expression over the session's instructions with one group.
        defaults: Facts that are not found there.
        greeting: Said when asked to speak before anybody has.
    """

    when: str
    facts: dict[str, re.Pattern[str]] = Field(default_factory=dict)
    defaults: dict[str, str] = Field(default_factory=dict)
    greeting: str
    unsure: Unsure
    slots: dict[str, Slot] = Field(default_factory=dict)
    goals: dict[str, Goal] = Field(default_factory=dict)
    instructed: tuple[Instructed, ...] = ()
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for rule in self.rules:
            if rule.pursue is not None and rule.pursue not in self.goals:
                raise ValueError(f"there is no goal {rule.pursue!r} for a rule to pursue")
        for name, goal in self.goals.items():
            for step in goal.steps:
                if step.need is not None and step.need not in self.slots:
                    raise ValueError(f"there is no slot {step.need!r} for goal {name!r}")
        return self


def load_all(folder: Path) -> tuple[Script, ...]:
    """Return the scripts of all workflows in a folder, the built-in small talk last.

    An agent of a workflow besides its first one has a script of its own, `<agent>.script.yaml`.

    Raises:
        ConfigError: A script is wrong, or there is no such folder.
    """
    if not folder.is_dir():
        what = "there is no such folder"
        raise ConfigError([Problem(str(folder), 0, 0, "folder", what, None, "a workflows folder")])
    paths = [*sorted(folder.glob("*/*script.yaml")), SMALL_TALK]
    return tuple(load(path) for path in paths)


def load_own(folder: Path) -> tuple[Script, ...]:
    """Return the scripts of the workflow in one folder, the built-in small talk last.

    Raises:
        ConfigError: A script is wrong, or there is none.
    """
    own = sorted(folder.glob("*script.yaml")) or [folder / "script.yaml"]
    return tuple(load(path) for path in (*own, SMALL_TALK))


def load(path: Path) -> Script:
    """Return the script in a file.

    Raises:
        ConfigError: With every problem found, where it is and what would be right.
    """
    return read_model(
        path,
        Script,
        keys="`when:`, `greeting:`, `unsure:` and the rest",
        described_in="docs/workflows.md",
    )
