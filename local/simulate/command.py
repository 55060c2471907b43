"""`python ring.py simulate`: plays scenarios and says which have come out as expected."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.text import Text

from local.log_file import log_to_file
from local.realtime.brain.script import load_own
from local.realtime.server import ChatModel
from local.scenarios import Scenario, load
from local.simulate.aftermath import unmet
from local.simulate.callers import Caller, ChatCaller, ScriptedCaller
from local.simulate.models import AgentModel, serving
from local.simulate.playing import Played, play
from thirdring.errors import PhoneError, WrongUse
from thirdring.home import Home
from thirdring.printable import printable
from thirdring.record import Record
from thirdring.records.moments import Lane, moments
from thirdring.workflow import Workflow

__all__ = ["Chosen", "Result", "Simulation", "chosen", "run", "simulate"]


@dataclass(frozen=True)
class Chosen:
    """Which scenarios are played.

    Attributes:
        workflow: Only those of this one.
        label: Only those whose label has this in it.
        tag: Only those with this tag, `key=value`; or with this key, whatever its value.
    """

    workflow: str | None = None
    label: str | None = None
    tag: str | None = None

    def takes(self, scenario: Scenario) -> bool:
        """Tell whether this scenario is meant."""
        if self.label is not None and self.label.lower() not in scenario.label.lower():
            return False
        if self.tag is None:
            return True
        key, wanted, value = self.tag.partition("=")
        return key in scenario.tags and (not wanted or scenario.tags[key] == value)


@dataclass(frozen=True)
class Result:
    """How one scenario came out.

    Attributes:
        played: None when the call failed.
        problems: What was not as expected, one line each.
    """

    workflow: str
    scenario: Scenario
    seconds: float
    problems: tuple[str, ...] = ()
    played: Played | None = None

    def document(self) -> dict[str, object]:
        """Return it as JSON takes it."""
        document: dict[str, object] = {
            "workflow": self.workflow,
            "label": self.scenario.label,
            "tags": self.scenario.tags,
            "passed": not self.problems,
            "problems": list(self.problems),
            "seconds": round(self.seconds, 2),
        }
        if self.played is not None:
            found = self.played.aftermath
            document |= {
                "tools": [
                    {
                        "name": use.name,
                        "refused": use.error is not None,
                        "arguments": use.arguments,
                        "result": use.result,
                        "error": use.error,
                    }
                    for use in self.played.record.tool_uses
                ],
                "ended": found.ended,
                "outcome": found.outcome and found.outcome.model_dump(mode="json"),
                "rows": {
                    table: [row.model_dump(mode="json") for row in rows]
                    for table, rows in found.rows.items()
                },
                "said": list(self.played.said),
                "answers": list(found.answers),
            }
        return document


def chosen(
    which: Chosen, workflows: Mapping[str, Workflow], folder: Path
) -> list[tuple[Workflow, Scenario]]:
    """Return the scenarios that are meant, in the order of their files.

    Args:
        folder: That of the workflows.

    Raises:
        WrongUse: There is no such workflow, or none of its scenarios is meant.
        ConfigError: A file of scenarios is missing or wrong.
    """
    if which.workflow is not None and which.workflow not in workflows:
        raise WrongUse(f"no workflow {which.workflow!r}; there are {', '.join(workflows)}")
    names = [which.workflow] if which.workflow is not None else list(workflows)
    found = [
        (workflows[name], scenario)
        for name in names
        for scenario in load(folder / name / "scenarios.yaml").scenarios
        if which.takes(scenario)
    ]
    if not found:
        raise WrongUse("no scenario has this label or tag")
    return found


@dataclass(frozen=True)
class Simulation:
    """What a run of scenarios needs.

    Attributes:
        folder: That of the workflows.
        agent: The agent's model.
        caller: The model that plays the callers; None for the lines of the scenarios.
    """

    workflows: Mapping[str, Workflow]
    folder: Path
    agent: AgentModel = field(default_factory=AgentModel)
    caller: ChatModel | None = None


async def simulate(setting: Simulation, workflow: Workflow, scenario: Scenario) -> Result:
    """Play one scenario and compare what it leaves with what is expected."""
    began = time.monotonic()
    played, problems = None, []
    try:
        async with AsyncExitStack() as stack:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="thirdring-"))
            caller: Caller = ScriptedCaller(scenario.userdata.says)
            if setting.caller is not None:
                http = await stack.enter_async_context(aiohttp.ClientSession())
                caller = ChatCaller(http, setting.caller, scenario)
            today = scenario.userdata.now.date()
            await stack.enter_async_context(
                serving(setting.agent, setting.folder / workflow.name, lambda: today)
            )
            played = await play(
                scenario, workflow, caller, folder=Path(home), workflows=setting.workflows
            )
    except PhoneError as error:
        problems = str(error).splitlines()
    else:
        word_for_word = setting.agent.scripted and setting.caller is None
        problems = unmet(scenario.userdata.expect, played.aftermath, word_for_word=word_for_word)
    seconds = time.monotonic() - began
    return Result(workflow.name, scenario, seconds, tuple(problems), played)


async def run(
    home: Home,
    setting: Simulation,
    which: Chosen,
    *,
    console: Console,
    verbose: bool = False,
) -> list[Result]:
    """Play the scenarios one after the other, showing how far it is; return how they came out.

    Args:
        home: Where the log goes.
        console: For people; quiet when the results are for a program.
        verbose: Show every conversation, and the log; of a scenario that failed, its tool calls
            are shown in any case.

    Raises:
        WrongUse: No scenario is meant.
        ConfigError: A file of scenarios, or a script that is needed, is wrong.
    """
    wanted = chosen(which, setting.workflows, setting.folder)
    if setting.agent.scripted:
        for name in dict.fromkeys(workflow.name for workflow, _ in wanted):
            load_own(setting.folder / name)  # to say once of a mistake what each call would meet
    results: list[Result] = []
    row = _row_of(wanted)
    console.print(row("", "Workflow", "Scenario", "s", "Tools"), style="bold", soft_wrap=True)
    with log_to_file(home.logs / "simulate.log", verbose=verbose), console.status("") as status:
        for workflow, scenario in wanted:
            playing = f"{workflow.name}, {scenario.label}"
            status.update(f"{len(results) + 1} of {len(wanted)}: {playing}")
            results.append(await simulate(setting, workflow, scenario))
            _show(console, results[-1], row, verbose=verbose)
    for text in _explained(results):
        console.print(text, soft_wrap=True)
    return results


def _row_of(wanted: Sequence[tuple[Workflow, Scenario]]) -> Callable[..., str]:
    """Return what makes one line of columns that are as wide as they must be."""
    names = max(len(workflow.name) for workflow, _ in wanted)
    labels = max(len(scenario.label) for _, scenario in wanted)

    def row(result: str, name: str, label: str, seconds: str, tools: str) -> str:
        line = f"{result:<6}  {name:<{names}}  {label:<{labels}}  {seconds:>4}  {tools}"
        return line.rstrip()

    return row


def _show(console: Console, result: Result, row: Callable[..., str], *, verbose: bool) -> None:
    tools = result.played.aftermath.tools if result.played is not None else ()
    line = row(
        "FAILED" if result.problems else "passed",
        result.workflow,
        result.scenario.label,
        f"{result.seconds:.1f}",
        ", ".join(tool.name for tool in tools),
    )
    console.print(Text(line, "red" if result.problems else ""), soft_wrap=True)
    if result.played is not None and (result.problems or verbose):
        _show_call(console, result.played.record, whole=verbose)


def _show_call(console: Console, record: Record, *, whole: bool) -> None:
    """Show every tool call with what came of it, and with `whole` everything that was said, too."""
    for moment in moments(record):
        if whole or moment.lane in (Lane.TOOL, Lane.FAULT):
            line = f"        {moment.lane:<6}  {printable(moment.text)}"
            console.print(Text(line), soft_wrap=True)


def _explained(results: Sequence[Result]) -> Iterator[Text]:
    for result in results:
        for problem in result.problems:
            yield Text(f"FAILED  {result.workflow}: {result.scenario.label}: {problem}", "red")
    failed = sum(bool(result.problems) for result in results)
    count = len(results)
    summary = f"{count - failed} of {count} scenarios came out as expected."
    yield Text(summary, "bold red" if failed else "bold green")
