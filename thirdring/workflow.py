"""What a workflow is, and how the folders of `workflows/` become checked values at start."""

from __future__ import annotations

import ast
import importlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from livekit.agents import llm
from pydantic import BaseModel, ConfigDict, Field

from thirdring.agent_checks import mistakes
from thirdring.errors import ConfigError, Problem
from thirdring.guardrails import Guardrail
from thirdring.outcome import Outcome
from thirdring.prompts import LONE_BRACES, PLACEHOLDER, lone_braces
from thirdring.raw_tools import GUARDED
from thirdring.roles import Roles
from thirdring.settings import TurnTaking

__all__ = [
    "CALL_FACTS",
    "MAIN",
    "AgentPart",
    "Workflow",
    "WorkflowTool",
    "described",
    "discover",
    "handover_name",
    "instructions",
    "tool_names",
]

MAIN: Final = "main"
"""The name of a workflow's first agent, whose instructions are `instructions.md`."""

_HANDOVER: Final = "hand_over_to_"

SHARED_INSTRUCTIONS: Final = Path("_shared", "voice.md")
"""How to speak on a phone; put before the instructions of every workflow."""

CALL_FACTS: Final = frozenset(
    {
        "business_name",
        "facility_name",
        "address",
        "agent_name",
        "notes",
        "caller_memory",
        "caller_phone",
        "patient_name",
        "patient_phone",
        "spoken_languages",
        "today",
    }
)
"""Facts that every call has, whatever `thirdring.yaml` says; instructions and greetings may use
them without further ado."""

_OF_THE_CALLER: Final = frozenset(
    {"caller_memory", "caller_phone", "notes", "patient_name", "patient_phone"}
)
"""Those that differ from call to call; what is looked up is the same in each."""

WorkflowTool: TypeAlias = llm.FunctionTool[..., Any] | llm.RawFunctionTool[..., Any]
"""What a model may call: a function with its own signature, or with a schema made elsewhere."""


def described(tool: WorkflowTool) -> str:
    """Return what the model reads of a tool; empty when there is nothing."""
    if isinstance(tool, llm.RawFunctionTool):
        return str(tool.info.raw_schema.get("description") or "").strip()
    return (tool.info.description or "").strip()


class AgentPart(BaseModel):
    """An agent of a workflow besides its first one, which hands the caller over to it.

    Attributes:
        name: Its instructions are `<name>.md` in the workflow's folder.
        when: For the agent that hands over: when to.
        tools: What this agent may call.
        hands_over_to: Names of other agents; `main` is the workflow's first.
        opening: What it is asked to do as soon as it has the call; None to wait for words. May use
            facts.
        on_its_own_call: It is never handed a caller: it speaks first on the call that is made for
            an errand of the others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
    when: Annotated[str, Field(min_length=1)]
    tools: tuple[WorkflowTool, ...] = ()
    hands_over_to: tuple[str, ...] = ()
    opening: str | None = None
    on_its_own_call: bool = False


class Workflow(BaseModel):
    """What is said and what may be done on a line.

    Attributes:
        name: That of its folder.
        tools: What the model may call; a line may offer fewer.
        facts: Names that `instructions.md` may use as `{{ name }}`.
        greeting: What a line says first unless it has its own; may use facts too. Empty where the
            other party speaks first.
        outcome: What a call must leave behind; None for nothing but its record.
        agents: Those that the first one can hand the caller over to, and they to each other.
        hands_over_to: Names of those of `agents` that the first one knows.
        roles: Its models by what they do.
        guardrails: What is watched in the words of its agents, and in those of the other party.
        errand: What calls of this workflow are made for; its fields are facts too. The kind of its
            errands is the workflow's name.
        takes_callbacks: Whoever calls from the number of an open errand calls about it. A number
            can be forged: not where the agent knows what only the one who was called may hear.
        reply_tokens: The longest reply of the model; None for no cap.
        connecting: Whether a caller whose agent is not ready yet hears that they are being
            connected, instead of ringing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    direction: Literal["inbound", "outbound"] = "inbound"
    pipeline: Literal["realtime"] = "realtime"
    turn_taking: TurnTaking = TurnTaking()
    tools: tuple[WorkflowTool, ...] = ()
    facts: tuple[str, ...] = ()
    greeting: str
    outcome: type[Outcome] | None = None
    agents: tuple[AgentPart, ...] = ()
    hands_over_to: tuple[str, ...] = ()
    roles: Roles = Roles()
    guardrails: tuple[Guardrail, ...] = ()
    errand: type[BaseModel] | None = None
    takes_callbacks: bool = False
    reply_tokens: Annotated[int, Field(ge=50, le=4096)] | None = None
    connecting: bool = False
    time_limit_minutes: Annotated[int, Field(ge=1, le=240)] = 30

    def part(self, name: str) -> AgentPart:
        """Return one of `agents`; `discover` has seen that those that are named exist."""
        return next(part for part in self.agents if part.name == name)


def fact_names(workflow: Workflow) -> frozenset[str]:
    """Return the facts that the texts of a workflow may use."""
    errand = workflow.errand.model_fields if workflow.errand is not None else ()
    return CALL_FACTS | frozenset(workflow.facts) | frozenset(errand)


def tool_names(workflow: Workflow) -> tuple[str, ...]:
    """Return the names of the tools of all agents of a workflow."""
    parts = (workflow.tools, *(part.tools for part in workflow.agents))
    return tuple(tool.info.name for tools in parts for tool in tools)


def handover_name(name: str) -> str:
    """Return the name of the tool that hands the caller over to an agent."""
    return f"{_HANDOVER}{name}"


def discover(package_name: str = "workflows") -> dict[str, Workflow]:
    """Return the workflow of every folder of a package, by name; `_` begins those that are none.

    Raises:
        ConfigError: Everything that is wrong with any of them.
    """
    found: dict[str, Workflow] = {}
    problems = list(_text_problems(_named(package_name, SHARED_INSTRUCTIONS), CALL_FACTS))
    for path in _package_folder(package_name).iterdir():
        if not path.is_dir() or path.name.startswith(("_", ".")):
            continue
        folder = _Folder(package_name, path)
        workflow = folder.load()
        if isinstance(workflow, Problem):
            problems.append(workflow)
            continue
        problems += folder.problems(workflow)
        found[path.name] = workflow
    if problems:
        raise ConfigError(sorted(problems, key=lambda p: (p.file, p.line, p.column)))
    return dict(sorted(found.items()))


def instructions(workflow: Workflow, package_name: str = "workflows", *, agent: str = MAIN) -> str:
    """Return what an agent of this workflow is told, placeholders included.

    It is read anew each time: a prompt can be tried without a restart.
    """
    folder = _package_folder(package_name)
    paths = (folder / SHARED_INSTRUCTIONS, folder / workflow.name / _text_of(agent))
    return "\n\n".join(path.read_text(encoding="utf-8").strip() for path in paths) + "\n"


def _text_of(agent: str) -> str:
    return "instructions.md" if agent == MAIN else f"{agent}.md"


def _package_folder(package_name: str) -> Path:
    package = importlib.import_module(package_name)
    assert package.__file__ is not None, f"{package_name} has no __init__.py"
    return Path(package.__file__).parent


@dataclass(frozen=True)
class _File:
    """A file of a package, and its name from the folder that the package is imported from."""

    path: Path
    name: str

    def problem(
        self, what: str, expected: str, *, at: tuple[int, int] = (1, 1), field: str = "file"
    ) -> Problem:
        return Problem(self.name, *at, field, what, None, expected)


def _named(package_name: str, relative: Path) -> _File:
    name = Path(*package_name.split("."), relative).as_posix()
    return _File(_package_folder(package_name) / relative, name)


def _text_problems(file: _File, facts: frozenset[str]) -> Iterator[Problem]:
    try:
        text = file.path.read_text(encoding="utf-8")
    except FileNotFoundError:
        yield file.problem("is missing", "instructions for the model, in markdown")
        return
    except (OSError, UnicodeDecodeError) as error:
        yield file.problem(f"cannot be read ({type(error).__name__})", "text in UTF-8")
        return
    if not text.strip():
        yield file.problem("is empty", "instructions for the model, in markdown")
    lone = lone_braces(text)
    if lone is not None:
        yield file.problem(LONE_BRACES, "{{ name }}", at=_line_and_column(text, lone))
    for match in PLACEHOLDER.finditer(text):
        if match[1] not in facts:
            at = _line_and_column(text, match.start())
            what = "is neither a fact of the workflow nor one that every call has"
            field = f"{{{{ {match[1]} }}}}"
            yield file.problem(what, _listed(facts), at=at, field=field)


def _line_and_column(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _listed(names: frozenset[str]) -> str:
    return f"one of {', '.join(sorted(names))}"


class _Folder:
    """One folder of a package of workflows."""

    def __init__(self, package_name: str, path: Path) -> None:
        self._package_name = package_name
        self._name = path.name
        self._module = f"{package_name}.{path.name}"
        self._code = _named(package_name, Path(path.name, "__init__.py"))
        self._text = _named(package_name, Path(path.name, "instructions.md"))

    def load(self) -> Workflow | Problem:
        """Import the folder and return its workflow."""
        if not self._code.path.exists():
            return self._code.problem("is missing", "a module with a `workflow`")
        try:
            module = importlib.import_module(self._module)
        except Exception as error:  # whatever a workflow's own code raises, the user gets its place
            what = f"fails: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            return self._code.problem(what, "a module that can be imported", at=self._line(error))
        workflow = getattr(module, "workflow", None)
        if not isinstance(workflow, Workflow):
            expected = "`workflow = Workflow(...)`"
            return self._code.problem("has no workflow", expected, field="workflow")
        return workflow

    def problems(self, workflow: Workflow) -> Iterator[Problem]:
        facts = fact_names(workflow)
        if workflow.name != self._name:
            what = f"is {workflow.name!a}, which is not the name of the folder"
            yield self._field_problem("name", what, f'"{self._name}"')
        yield from self._said(workflow.greeting, "greeting", facts)
        for tool in (*workflow.tools, *(tool for part in workflow.agents for tool in part.tools)):
            if not described(tool):
                what = f"has {tool.info.name}, which does not say what it does"
                yield self._field_problem("tools", what, "a docstring: the model reads it")
            if not getattr(tool, GUARDED, False):
                what = f"has {tool.info.name}, which nothing limits"
                yield self._field_problem("tools", what, "`@guarded` below `@function_tool`")
        for one in mistakes(workflow, MAIN, _HANDOVER):
            yield self._field_problem(one.field, one.what, one.expected, agent=one.agent)
        for part in workflow.agents:
            yield from self._said(part.opening or "", "opening", facts, agent=part.name)
            yield from _text_problems(self._text_of(part), facts)
        yield from _text_problems(self._text, facts)
        policies = (CALL_FACTS | frozenset(workflow.facts)) - _OF_THE_CALLER
        for path in sorted((self._text.path.parent / "policies").glob("*.md")):
            yield from _text_problems(self._policy(path), policies)

    def _said(
        self, text: str, field: str, facts: frozenset[str], *, agent: str | None = None
    ) -> Iterator[Problem]:
        for unknown in sorted(frozenset(PLACEHOLDER.findall(text)) - facts):
            what = f"uses the unknown fact {unknown!a}"
            yield self._field_problem(field, what, _listed(facts), agent=agent)
        if lone_braces(text) is not None:
            yield self._field_problem(field, LONE_BRACES, "{{ name }}", agent=agent)

    def _policy(self, path: Path) -> _File:
        return _named(self._package_name, Path(self._name, "policies", path.name))

    def _text_of(self, part: AgentPart) -> _File:
        return _named(self._package_name, Path(self._name, _text_of(part.name)))

    def _field_problem(
        self, field: str, what: str, expected: str, *, agent: str | None = None
    ) -> Problem:
        at = self._position(field, agent)
        whose = "workflow" if agent is None else f"workflow.agents.{agent}"
        return self._code.problem(what, expected, at=at, field=f"{whose}.{field}")

    def _position(self, field: str, agent: str | None) -> tuple[int, int]:
        """Return where `field=` stands in the call that makes the workflow or one of its agents."""
        nodes = ast.walk(ast.parse(self._code.path.read_bytes()))
        wanted = "Workflow" if agent is None else "AgentPart"
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            if not isinstance(call.func, ast.Name) or call.func.id != wanted:
                continue
            fields = {keyword.arg: keyword for keyword in call.keywords}
            named = fields["name"].value if "name" in fields else None
            mine = agent is None or (isinstance(named, ast.Constant) and named.value == agent)
            if mine and field in fields:
                return fields[field].lineno, fields[field].col_offset + 1
        return 1, 1

    def _line(self, error: BaseException) -> tuple[int, int]:
        if isinstance(error, SyntaxError) and error.filename == str(self._code.path):
            return error.lineno or 1, error.offset or 1
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno or 1 for frame in frames if frame.filename == str(self._code.path)]
        return (lines[-1] if lines else 1), 1
