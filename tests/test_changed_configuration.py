"""The configuration changes on disk while calls come: gateway, worker and courier take it up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from local.parts import stack as parts
from tests.peers.background import in_background
from tests.peers.calls import call, new_number, script, wait_for_record
from thirdring.home import Home
from thirdring.record import Record

pytestmark = [pytest.mark.server, pytest.mark.alone]

HEARD = {"wait": {"agent_speaks": True}}
GREETED = {"wait": {"silence_ms": 2500}}
CLINIC = """\
version: 1
businesses:
  clinic:
    name: Clinic
    time_zone: America/New_York
    webhook: {url: "${THIRDRING_WEBHOOK_URL}", secret: "${THIRDRING_WEBHOOK_SECRET}"}
    lines:
      - {number: "+12025550142", workflow: patient_questions, greeting: Good morning at the clinic.}
"""
EVENING = CLINIC.replace("Good morning", "Good evening")
GARAGE = (
    CLINIC.replace("clinic", "garage")
    .replace("+12025550142", "+12025550143")
    .replace("Good morning", "Good afternoon")
)
REST = """\
version: 1
default_line: "+12025550142"
allowed_receivers: [127.0.0.0/8]
worker: {idle_processes: 2}
"""
TAKEN_UP = "configuration taken up"


async def _greeted(stack: parts.Stack, number: str) -> Record:
    caller = new_number()
    await call(stack, script(HEARD, GREETED, "hang_up"), caller=caller, called=number)
    return await wait_for_record(stack, caller)


async def _said(log: Path, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in log.read_text(errors="replace"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def test_the_next_call_is_served_by_the_file_as_it_is_now(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another greeting is spoken, a new line of a new business is answered, a broken file is told
    and changes nothing.
    """
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "clinic.yaml").write_text(CLINIC)
    (folder / "rest.yaml").write_text(REST)
    wanted = parts.Wanted(sip=parts.SipSide.GATEWAY, worker=True, delivery=True)
    home = Home(tmp_path_factory.mktemp("home"))
    with in_background(parts.stack(home, configuration=folder, wanted=wanted)) as stack:
        gateway, worker = stack.log_paths["gateway"], stack.log_paths["worker"]
        first = await _greeted(stack, "+12025550142")
        assert first.turns[0].text == "Good morning at the clinic."

        (folder / "garage.yaml").write_text(GARAGE.replace("America", "Nowhere"))
        (folder / "clinic.yaml").write_text(EVENING)
        for log in (gateway, worker):
            await _said(log, "broken (1 problems)")
            await _said(log, "garage.yaml:5:16 businesses.garage.time_zone: is no time zone")
        second = await _greeted(stack, "+12025550142")
        assert second.turns[0].text == "Good morning at the clinic."
        unknown = await call(stack, script("hang_up"), caller=new_number(), called="+12025550143")
        assert not unknown.completed

        (folder / "garage.yaml").write_text(GARAGE)
        await _said(gateway, TAKEN_UP)
        third = await _greeted(stack, "+12025550143")
        assert (third.business, third.turns[0].text) == (
            "garage",
            "Good afternoon at the garage.",
        )
        fourth = await _greeted(stack, "+12025550142")
        assert fourth.turns[0].text == "Good evening at the clinic."
