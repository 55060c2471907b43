"""`ring.py sip`: what people and programs read, and that no secret is among it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sip import provision
from tests.sip.provision.conftest import Project
from thirdring import config, workflow
from thirdring.settings import Settings

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[3]
PASSWORD = "correct-horse-battery"
FILE = """\
version: 1
businesses:
  clinic:
    name: Riverside Clinic
    time_zone: America/New_York
    lines:
      - {number: "+12025550142", workflow: patient_questions}
      - {number: "+12025550143", workflow: patient_questions}
trunks:
  provider:
    lines: ["+12025550142"]
    auth_username: riverside
    auth_password: ${TRUNK_PASSWORD}
"""


@dataclass
class Terminal:
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    async def run(
        self,
        command: provision.Command,
        project: Project,
        settings: Settings,
        *,
        destroy: bool = False,
        json_wanted: bool = False,
    ) -> int:
        """Return the exit code of a command that prints here."""
        return await command(
            settings,
            project.access,
            destroy=destroy,
            json_wanted=json_wanted,
            out=self.out.append,
            err=self.err.append,
        )


def loaded(folder: Path, text: str = FILE, password: str = PASSWORD) -> Settings:
    path = folder / "thirdring.yaml"
    path.write_text(text)
    environ = {"TRUNK_PASSWORD": password}
    return config.load(path, workflows=workflow.discover(), environ=environ)


async def test_people_see_each_step(project: Project, tmp_path: Path) -> None:
    """One line for each trunk and rule, one for each field; again is nothing to do."""
    terminal, settings = Terminal(), loaded(tmp_path)
    assert await terminal.run(provision.run_plan, project, settings) == 0
    planned, terminal.out = terminal.out, []
    assert await terminal.run(provision.run_apply, project, settings) == 0
    (trunk,) = (await project.world()).trunks
    assert planned[0] == (
        "create trunk thirdring/provider\n"
        "    numbers: +12025550142\n"
        "    auth_username: riverside\n"
        "    auth_password: ***\n"
        "    ringing_timeout: 10 s\n"
        "    max_call_duration: 2100 s"
    )
    assert planned[-1] == "2 to create"
    assert terminal.out[0].startswith(f"created trunk thirdring/provider ({trunk.sip_trunk_id})\n")
    assert terminal.out[-1] == "2 created; 2 are now as configured"
    terminal.out = []
    assert await terminal.run(provision.run_apply, project, settings) == 0
    assert terminal.out == ["nothing to do: 2 of our trunks and rules are as configured"]
    assert set(terminal.err) == {
        "warning: line +12025550143 is in no trunk: LiveKit SIP does not take its calls"
    }


async def test_programs_read_one_document(project: Project, tmp_path: Path) -> None:
    """Actions with old and new values, what is unchanged, warnings; apply says what it did."""
    await provision.apply(loaded(tmp_path), project.access)
    changed = FILE.replace('lines: ["+12025550142"]', "allowed_addresses: [203.0.113.0/24]")
    terminal = Terminal()
    code = await terminal.run(
        provision.run_apply, project, loaded(tmp_path, changed), json_wanted=True
    )
    (trunk,) = (await project.world()).trunks
    (document,) = map(json.loads, terminal.out)
    assert (code, terminal.err) == (0, [])
    assert document == {
        "actions": [
            {
                "action": "update",
                "kind": "trunk",
                "name": "thirdring/provider",
                "id": trunk.sip_trunk_id,
                "fields": [
                    {
                        "name": "numbers",
                        "old": ["+12025550142"],
                        "new": ["+12025550142", "+12025550143"],
                    },
                    {"name": "allowed_addresses", "old": [], "new": ["203.0.113.0/24"]},
                ],
            }
        ],
        "unchanged": 2,
        "conflicts": [],
        "warnings": [],
        "error": None,
    }


async def test_a_conflict_is_in_the_document_too(project: Project, tmp_path: Path) -> None:
    """Programs get both sides and the number, and an exit code that is not 0."""
    foreign = await project.make_trunk(name="Twilio", numbers=["+12025550142"])
    for command in (provision.run_plan, provision.run_apply):
        terminal = Terminal()
        code = await terminal.run(command, project, loaded(tmp_path), json_wanted=True)
        (document,) = map(json.loads, terminal.out)
        (conflict,) = document["conflicts"]
        assert (code, document["actions"]) == (1, [])
        assert conflict["ours"] == '"thirdring/provider" (new)'
        assert conflict["theirs"] == f'"Twilio" ({foreign.sip_trunk_id})'
        assert conflict["numbers"] == ["+12025550142"]


async def test_a_server_that_is_not_there_is_in_the_document_too(
    project: Project, tmp_path: Path
) -> None:
    """Programs get one document whatever happens, with the reason and exit code 1."""
    nowhere = replace(project, access=project.access.model_copy(update={"url": "ws://127.0.0.1:9"}))
    for command in (provision.run_plan, provision.run_apply):
        terminal = Terminal()
        code = await terminal.run(command, nowhere, loaded(tmp_path), json_wanted=True)
        (document,) = map(json.loads, terminal.out)
        assert (code, document["actions"], terminal.err) == (1, [], [])
        assert "cannot be reached (Connection refused)" in document["error"]


async def test_no_password_is_ever_shown(project: Project, tmp_path: Path) -> None:
    """Neither when it is set, nor when it changes, nor in what programs read."""
    old, new, terminal = loaded(tmp_path), loaded(tmp_path, password="battery-staple"), Terminal()
    for settings in (old, new):
        for json_wanted in (False, True):
            for command in (provision.run_plan, provision.run_apply):
                await terminal.run(command, project, settings, json_wanted=json_wanted)
    shown = "\n".join(terminal.out + terminal.err)
    assert "auth_password: another one, not shown" in shown
    assert PASSWORD not in shown
    assert "battery-staple" not in shown
    (trunk,) = (await project.world()).trunks
    assert trunk.auth_password == "battery-staple"


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ("", "trunk provider has neither allowed_addresses nor auth_username: "),
        ("allowed_addresses: [0.0.0.0/0]", "trunk provider: allowed_addresses lets every address"),
        ("allowed_addresses: [203.0.113.7]", None),
    ],
    ids=["no guard", "every address", "guarded"],
)
async def test_a_trunk_without_a_guard_is_warned_of(
    project: Project, tmp_path: Path, fields: str, warning: str | None
) -> None:
    """Whoever knows a number could call past the provider; taking ours away needs no warning."""
    text = f"{FILE.partition('trunks:')[0]}trunks: {{provider: {{{fields}}}}}\n"
    terminal = Terminal()
    await terminal.run(provision.run_plan, project, loaded(tmp_path, text))
    assert [line.startswith(f"warning: {warning}") for line in terminal.err] == [True] * bool(
        warning
    )
    terminal.err = []
    await terminal.run(provision.run_plan, project, loaded(tmp_path, text), destroy=True)
    assert terminal.err == []


async def ring(project: Project, *arguments: str) -> tuple[int | None, str, str]:
    environ = {
        "LIVEKIT_URL": project.access.url,
        "LIVEKIT_API_KEY": project.access.api_key,
        "LIVEKIT_API_SECRET": project.access.api_secret.get_secret_value(),
        "TRUNK_PASSWORD": PASSWORD,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "ring.py", "sip", *arguments),
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_commands_reach_the_server(project: Project, tmp_path: Path) -> None:
    """Taken away, refused: each by one command line, with its exit code."""
    configuration = ("--config", str(tmp_path / "thirdring.yaml"))
    await provision.apply(loaded(tmp_path), project.access)
    code, out, _ = await ring(project, "apply", "--destroy", "--json", *configuration)
    assert (code, [a["action"] for a in json.loads(out)["actions"]]) == (0, ["delete", "delete"])
    await project.make_trunk(name="Twilio", numbers=["+12025550142"])
    code, out, err = await ring(project, "plan", *configuration)
    assert (code, out) == (1, "")
    assert 'trunk "Twilio" (ST_' in err.splitlines()[-1]
    assert "Traceback" not in err
