"""The verbs of `python ring.py` for those who write workflows. Wiring only.

Each imports what it needs when it runs, so that `--help` waits for nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from thirdring.errors import WrongUse
from thirdring.home import Home

if TYPE_CHECKING:
    from local.realtime.server import ChatModel

__all__ = ["add_to"]

_FAILED: Final = 1
_WORKFLOWS: Final = Path(__file__).parents[2] / "workflows"
_OTHER_PICTURES: Final = frozenset({".gif", ".jpeg", ".jpg", ".pdf", ".png", ".webp"})

new = typer.Typer(no_args_is_help=True, help="Make the files of something new.")


def add_to(app: typer.Typer) -> None:
    """Give the command its verbs for workflows."""
    app.command()(simulate)
    app.command()(graph)
    app.add_typer(new, name="new")


@new.command("workflow")
def new_workflow(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and _.")],
) -> None:
    """Make the folder of a workflow that answers calls as it is."""
    from local.studio.new import make

    folder = make(name, _WORKFLOWS)
    typer.echo(
        f"Made workflows/{folder.name}: {', '.join(sorted(path.name for path in folder.iterdir()))}"
    )
    typer.echo(
        "Next:\n"
        f"  .venv/bin/python ring.py simulate {name}   (its scenarios, which pass as they are)\n"
        "  under `lines:` of a business in thirdring.yaml, with a number that no line has yet:\n"
        '      - number: "+12025550148"\n'
        f"        workflow: {name}\n"
        "  .venv/bin/python ring.py check   (that file, and every workflow, while `make up` runs)\n"
        f"  make demo WORKFLOW={name}   (a spoken call to it)\n"
        "docs/workflows.md explains every file of the folder."
    )


def graph(
    name: Annotated[str, typer.Argument(help="Of a workflow.")],
    *,
    form: Annotated[
        Literal["mermaid", "svg"] | None,
        typer.Option(
            "--format",
            help="Text for Markdown, or a picture; by default what the output's name ends with.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A file instead of the standard output.")
    ] = None,
) -> None:
    """Draw a workflow: its agents, their tools, and who hands the caller over to whom."""
    from local.studio.drawing import as_mermaid, as_svg
    from local.studio.graph import graph_of
    from thirdring import workflow

    known = workflow.discover()
    if name not in known:
        raise WrongUse(f"no workflow {name!r}; there are {', '.join(known)}")
    if output is not None and output.suffix.lower() in _OTHER_PICTURES:
        raise WrongUse(f"{output}: no picture of this kind is drawn; name it .svg")
    drawn = graph_of(known[name])
    named = "svg" if output is not None and output.suffix.lower() == ".svg" else "mermaid"
    text = as_svg(drawn) if (form or named) == "svg" else as_mermaid(drawn)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"{output}: cannot be written ({error.strerror})") from None


def simulate(  # noqa: PLR0913 - each is an option of the command
    name: Annotated[str | None, typer.Argument(help="A workflow; all of them by default.")] = None,
    *,
    label: Annotated[str | None, typer.Option(help="Only scenarios with this in it.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this: feature=booking.")] = None,
    caller_base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible chat model that plays the callers.")
    ] = None,
    caller_model: Annotated[str | None, typer.Option(help="Its name at that endpoint.")] = None,
    llm_base_url: Annotated[
        str | None, typer.Option(help="A chat model for the agent, in the place of its script.")
    ] = None,
    llm_model: Annotated[str | None, typer.Option(help="Its name at that endpoint.")] = None,
    openai: Annotated[
        bool, typer.Option("--openai", help="OpenAI's model for the agent, with OPENAI_API_KEY.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the conversations, and the log.")
    ] = False,
) -> None:
    """Let simulated callers call, and check what each call has left behind."""
    from rich.console import Console

    from local.openai_key import require_openai_key
    from local.simulate import AgentModel, Chosen, Simulation, run
    from thirdring import workflow

    if openai and llm_base_url:
        raise typer.BadParameter("--openai and --llm-base-url are two models for one agent")
    home = Home.from_environment(os.environ).made()
    if openai:
        require_openai_key(home)
    agent = AgentModel(_chat("llm", llm_base_url, llm_model), openai=openai)
    setting = Simulation(
        workflow.discover(),
        _WORKFLOWS,
        agent,
        _chat("caller", caller_base_url, caller_model),
    )
    done = run(
        home,
        setting,
        Chosen(name, label, tag),
        console=Console(highlight=False, markup=False, quiet=as_json),
        verbose=verbose,
    )
    results = asyncio.run(done)
    if as_json:
        typer.echo(json.dumps([result.document() for result in results], indent=2))
    if any(result.problems for result in results):
        raise typer.Exit(_FAILED)


def _chat(
    role: Literal["llm", "caller"], base_url: str | None, model: str | None
) -> ChatModel | None:
    from local.realtime.server import ChatModel

    if base_url is None:
        return None
    variable = f"THIRDRING_{role.upper()}"
    model = model or os.environ.get(f"{variable}_MODEL")
    if not model:
        raise WrongUse(
            f"--{role}-base-url needs the name of a model there: give --{role}-model or set "
            f"{variable}_MODEL"
        )
    # OpenAI's own key must not reach anyone else.
    return ChatModel(base_url, model, os.environ.get(f"{variable}_API_KEY") or None)
