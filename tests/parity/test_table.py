"""The table of docs/parity.md names tests that exist, and run wherever the gateway does."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "parity.md").read_text(encoding="utf-8")
LINKS = {
    name: (DOCS / path, tuple(titles.split()))
    for name, path, titles in re.findall(r'^\[([^\]]+)\]: (\S+) "([^"]+)"$', TEXT, re.MULTILINE)
}
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| |")
]
NOT_ALWAYS_RUN = {"livekit_sip", "live", "skip", "skipif", "xfail"}


@cache
def functions_of(path: Path) -> dict[str, set[str]]:
    """Return the tests of a file, each with the marks that are written above it."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [n for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {
        function.name: {
            node.attr
            for decorator in function.decorator_list
            for node in ast.walk(decorator)
            if isinstance(node, ast.Attribute)
        }
        for function in functions
        if function.name.startswith("test_")
    }


def test_the_table_has_rows_and_each_has_four_cells() -> None:
    """What, livekit-sip, gateway, test: none is empty."""
    assert len(ROWS) > 40
    assert [row for row in ROWS if len(row) != 4 or not all(row)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row_leads_to_tests_that_always_run(row: tuple[str, ...]) -> None:
    """The names in the last cell are links whose titles are tests of that file, unmarked."""
    names = re.findall(r"\[([^\]]+)\]", row[-1])
    assert names
    for name in names:
        path, titles = LINKS[name]
        assert titles
        for title in titles:
            assert not functions_of(path)[title] & NOT_ALWAYS_RUN, title


def test_no_link_is_left_over() -> None:
    """Each test that is named belongs to a row."""
    used = {name for row in ROWS for name in re.findall(r"\[([^\]]+)\]", row[-1])}
    assert set(LINKS) == used
