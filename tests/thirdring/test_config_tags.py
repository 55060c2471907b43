"""Explicit YAML tags, which would let `!!int "30"` pass for 30 and a script for a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.thirdring.test_config import changed, problems

PLAIN = "expected a plain value without a tag"

# Each row: what stands in the good file, what stands there instead, and the problem.
TAGS = [
    (
        "slot_minutes: 20",
        'slot_minutes: !!int "20"',
        f"10:19 businesses.clinic.slot_minutes: has the tag '!!int'; {PLAIN}",
    ),
    (
        "slot_minutes: 20",
        "slot_minutes: !!int 20",
        f"10:19 businesses.clinic.slot_minutes: has the tag '!!int'; {PLAIN}",
    ),
    (
        "slot_minutes: 20",
        'slot_minutes: !<tag:yaml.org,2002:int> "20"',
        f"10:19 businesses.clinic.slot_minutes: has the tag '!!int'; {PLAIN}",
    ),
    (
        "slot_minutes: 20",
        'slot_minutes: ! "20"',
        f"10:19 businesses.clinic.slot_minutes: has the tag '!'; {PLAIN}",
    ),
    (
        "Riverside Clinic",
        "&name !!str 24",
        f"4:11 businesses.clinic.name: has the tag '!!str'; {PLAIN}",
    ),
    (
        '["09:00-12:00", "13:00-17:00"]',
        '!!seq ["09:00-12:00"]',
        f"9:15 businesses.clinic.hours.monday: has the tag '!!seq'; {PLAIN}",
    ),
    (
        '["09:00-12:00", "13:00-17:00"]',
        '["09:00-12:00",!!str 13:00-17:00]',
        f"9:30 businesses.clinic.hours.monday[1]: has the tag '!!str'; {PLAIN}",
    ),
    (
        "    facts:\n",
        "    facts: !!map\n",
        f"6:12 businesses.clinic.facts: has the tag '!!map'; {PLAIN}",
    ),
    (
        "      notes:",
        "      !!str notes:",
        "7:7 businesses.clinic.facts: has a key with the tag '!!str'; "
        "expected the key without a tag",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), TAGS)
def test_an_explicit_tag_is_refused(old: str, new: str, expected: str, tmp_path: Path) -> None:
    """Whatever it is put before, and also where it changes nothing."""
    (problem,) = problems(tmp_path, changed(old, new))
    assert str(problem) == f"{tmp_path / 'thirdring.yaml'}:{expected}"
