"""Starts everything, plays one call to the agent, shows it, and says whether all went well."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from local.caller.placing import CallResult
from local.demo.following import entries, new_journals
from local.demo.outcome import Delivery, missing, summary
from local.demo.plan import Plan, load_plan, number_of
from local.demo.show import Timeline
from local.openai_key import require_openai_key
from local.parts.stack import CONFIGURATION, Ports, Stack, Wanted, live
from local.parts.stack import plan as plan_stack
from local.scenarios import Row
from local.simulate.world import what_was_made
from thirdring import workflow as workflows
from thirdring.errors import PhoneError, WrongUse
from thirdring.home import Home
from thirdring.store import open_store

__all__ = ["run"]

_WORKFLOWS: Final = Path(__file__).parents[2] / "workflows"
_DELIVERY_SECONDS: Final = 10.0
_LAST_LINES_SECONDS: Final = 2.0


async def run(
    home: Home,
    *,
    workflow: str,
    listen: bool = False,
    openai: bool = False,
    llm_base_url: str | None = None,
    llm_model: str | None = None,
) -> int:
    """Play the demo, or with `listen` stay up for other phones; return the exit code.

    Args:
        home: Each run keeps its files in a folder of its own below it.
        workflow: Whose `demo.yaml` is played, to the first line that runs it.
        openai: Use OpenAI's model and the key in the environment.
        llm_base_url: An OpenAI-compatible chat model in place of the local model's script.
        llm_model: Its name there; `THIRDRING_LLM_MODEL` when None.

    Raises:
        PhoneError: Something needed is missing or does not start.
    """
    known = workflows.discover()
    if workflow not in known:
        raise WrongUse(f"no workflow {workflow!r}; there are {', '.join(known)}")
    plan = load_plan(known[workflow], _WORKFLOWS)
    if openai:
        require_openai_key(home)
    folder = Home(home.root / "demo" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}")
    # Paths and reasons may hold brackets, which are no markup.
    console = Console(highlight=False, markup=False)
    wanted = Wanted(
        model=not openai,
        llm_base_url=llm_base_url,
        llm_model=llm_model,
        worker=True,
        delivery=True,
    )
    ports = Ports(sip=None) if listen else Ports()
    stack = plan_stack(folder, configuration=CONFIGURATION, ports=ports, wanted=wanted)
    number = number_of(workflow, stack.settings)
    console.print("Starting livekit-server, model, gateway, worker, receiver and courier ...")
    async with live(stack):
        console.print(
            f"All parts are ready. Their logs: {folder.logs}", style="dim", soft_wrap=True
        )
        if listen:
            await _listen(stack, number, console)
        return await _play(stack, number, plan, console, scripted=not openai and not llm_base_url)


async def _listen(running: Stack, number: str, console: Console) -> None:
    host, port = running.sip_address
    console.print(f"Dial sip:{number}@{host}:{port} with any softphone.", style="bold")
    console.print(f"Records arrive in {running.received}. Ctrl-C stops everything.", soft_wrap=True)
    async with asyncio.TaskGroup() as group:
        async for path in new_journals(running.home.journals):
            console.rule(path.stem)
            group.create_task(_show(path, Timeline(console, datetime.now(UTC))))


async def _show(path: Path, timeline: Timeline) -> None:
    async for entry in entries(path):
        timeline.entry(entry)


async def _play(
    running: Stack, number: str, plan: Plan, console: Console, *, scripted: bool
) -> int:
    root = running.home.root
    recording, result = root / "recording.wav", root / "caller.json"
    timeline = Timeline(console, datetime.now(UTC))
    async with asyncio.TaskGroup() as group:
        following = group.create_task(_follow_first(running.home.journals, timeline))
        await _call(
            running, number, plan, timeline.caller_event, recording=recording, result=result
        )
        deliveries = await _deliveries(running.received)
        if deliveries:
            # The record is made of the whole journal, whose last lines are shown right now.
            await asyncio.wait((following,), timeout=_LAST_LINES_SECONDS)
        following.cancel()
    call = CallResult.model_validate_json(result.read_text(encoding="utf-8"))
    rows = await _rows(running, deliveries, number) if scripted else None
    lacking = missing(call, deliveries, plan, rows)
    record, outcome = root / "record.json", root / "outcome.json"
    if deliveries:
        left = deliveries[0].record
        record.write_text(left.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if left.outcome is not None:
            outcome.write_text(left.outcome.model_dump_json(indent=2) + "\n", encoding="utf-8")
    console.rule()
    for line in lacking:
        console.print(f"MISSING  {line}", style="bold red", soft_wrap=True)
    if lacking and _is_busy():
        console.print("This machine is busy with other things; try again when it is idle.")
    style = "bold" if lacking else "bold green"
    console.print(summary(call.measures, deliveries), style=style, soft_wrap=True)
    files = [recording, record, *([outcome] if outcome.exists() else []), running.received]
    for path in files:
        console.print(f"  {path.name:<15}{path}", soft_wrap=True)
    return 1 if lacking else 0


async def _rows(
    running: Stack, deliveries: Sequence[Delivery], number: str
) -> Mapping[str, Sequence[Row]]:
    """Return what the call has put into the store of the demo."""
    found = running.settings.find(number)
    if not deliveries or found is None:
        return {}
    business, _ = found
    async with open_store(running.home, {**os.environ, **running.environ}) as store:
        return await what_was_made(store, deliveries[0].record.call_id, business.time_zone)


def _is_busy() -> bool:
    return os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)


async def _follow_first(folder: Path, timeline: Timeline) -> None:
    async for path in new_journals(folder):
        await _show(path, timeline)
        return


async def _call(
    running: Stack,
    number: str,
    plan: Plan,
    show: Callable[[Mapping[str, Any]], None],
    *,
    recording: Path,
    result: Path,
) -> None:
    host, port = running.sip_address
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "local.caller"),
        *("--to", f"sip:{number}@{host}:{port}", "--script", str(plan.path)),
        *("--recording", str(recording), "--result", str(result), "--events", "-"),
        stdout=asyncio.subprocess.PIPE,
        # What it says there is in its result, and shown as missing.
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        async for line in process.stdout:
            show(json.loads(line))
        complaints = (await process.stderr.read()).decode(errors="replace").strip()
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if not result.exists():
        raise PhoneError(
            f"the caller ended with code {process.returncode} and left no {result}: {complaints}"
        )


async def _deliveries(received: Path) -> list[Delivery]:
    """Return what the webhook got, as soon as there is something."""
    try:
        async with asyncio.timeout(_DELIVERY_SECONDS):
            while not (received.exists() and received.read_bytes().endswith(b"\n")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # another process writes the file
    except TimeoutError:
        return []
    lines = received.read_text(encoding="utf-8").splitlines()
    return [Delivery.model_validate_json(line) for line in lines]
