"""How long it takes to check many businesses."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter, process_time

import pytest

from tests.thirdring.config_mistakes_of_a_business import FULL
from tests.thirdring.test_config_of_a_business import ENVIRON, WORKFLOWS
from thirdring import config
from thirdring.settings import Settings

COUNT = 1000
PLAIN = """\
version: 1
businesses:
  clinic:
    name: Riverside Clinic
    time_zone: America/New_York
    facts:
      address: 12 River Street
      notes: New patients are welcome. Parking is free behind the building.
    hours:
      monday: ["09:00-12:00", "13:00-17:00"]
      tuesday: ["09:00-17:00"]
      wednesday: ["09:00-17:00"]
      thursday: ["09:00-17:00"]
      friday: ["09:00-17:00"]
    webhook: {url: https://records.example/hook, secret: "${SECRET}"}
    lines:
      - number: "+12025550142"
        workflow: patient_questions
        greeting: Hello, thank you for calling {{ business_name }}. How can I help you today?
"""
SECRET = {"SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


def business(text: str, index: int) -> str:
    """Return the business of a file as another one, with numbers of its own."""
    body = text.split("businesses:\n")[1].replace("  clinic:", f"  clinic_{index}:")
    body = body.replace("+12025550143", f"+1212555{index:04}")
    return body.replace("+12025550142", f"+1202555{index:04}")


def timed(path: Path, what: str) -> Settings:
    began, worked = perf_counter(), process_time()
    found = config.load(path, workflows=WORKFLOWS, environ=ENVIRON | SECRET)
    took, worked = perf_counter() - began, process_time() - worked
    sys.stdout.write(f"\n{COUNT} {what}: {took:.2f} s, {worked:.2f} s of CPU\n")
    # For slow and busy machines: it catches quadratic work only.
    assert worked < 20
    assert len(found.businesses) == COUNT
    return found


@pytest.mark.parametrize("text", [PLAIN, FULL], ids=["plain", "full"])
def test_a_thousand_businesses_are_read_quickly(text: str, tmp_path: Path) -> None:
    """Within a second of CPU, when each says what most businesses say, or all that one can say."""
    path = tmp_path / "thirdring.yaml"
    path.write_text("version: 1\nbusinesses:\n" + "".join(business(text, i) for i in range(COUNT)))
    timed(path, "businesses in one file")


def test_a_thousand_files_are_read_quickly(tmp_path: Path) -> None:
    """Nearly as quickly as one file."""
    for index in range(COUNT):
        text = "version: 1\nbusinesses:\n" + business(PLAIN, index)
        (tmp_path / f"{index:04}.yaml").write_text(text)
    timed(tmp_path, "businesses in a file each")
