"""No requirement is forgotten: each row says what fulfils it, and that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
HEADINGS = {"row", "ask", "item", "measure"}
ROWS = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| (.+?) \|$", PAGE, re.MULTILINE)

LAST_ROWS = {"0": 22, "1": 27, "2": 14, "3": 11, "4": 8}
PARTS = {"0.2": ["0.2", "0.2b"], "1.2": ["1.2a", "1.2b", "1.2c", "1.2d"]}
PARTS |= {"4.6": ["4.6", "4.6b"], "4.7": ["4.7", "4.7b"]}

EXPECTED = [
    row
    for of, last in LAST_ROWS.items()
    for number in range(1, last + 1)
    for row in PARTS.get(f"{of}.{number}", [f"{of}.{number}"])
]


def test_every_row_of_the_five_jobs_is_there() -> None:
    """In order, each once."""
    assert [row for row, _, _ in ROWS if re.fullmatch(r"\d\.\d+[a-d]?", row)] == EXPECTED


def test_what_users_ask_for_and_the_demo_are_there() -> None:
    """Fifteen asks, then six items of the demo."""
    numbers = [int(row) for row, _, _ in ROWS if row.isdigit()]
    assert numbers == [*range(1, 16), *range(1, 7)]


@pytest.mark.parametrize(("row", "by"), [(row, by) for row, _, by in ROWS if row not in HEADINGS])
def test_what_fulfils_a_row_is_in_the_repository(row: str, by: str) -> None:
    """A path leads somewhere; a row without one says why, or to which work it is left."""
    named = re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|md|yaml))`", by)
    assert all((ROOT / path).exists() for path in named), row
    assert named or re.search(r"later|live|does not apply|`make |`ring.py ", by), row
