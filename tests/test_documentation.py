"""What the documentation tells people to run does what it says."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.parts.stack import Stack

ROOT = Path(__file__).parents[1]


def program_in(page: str) -> str:
    """Return the only Python program of a page of `docs`."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (found,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("program", ["ring.py", "agent.py"])
def test_a_python_without_the_packages_is_told_where_they_are(program: str) -> None:
    """Where the documentation's `python` is another one than the virtual environment's."""
    bare = (sys.executable, "-S", "-P", program, "--help")
    ran = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert f"run `make setup`, then `.venv/bin/python {program}" in ran.stderr
    assert "Traceback" not in ran.stderr


async def test_the_local_model_answers_the_documented_program(stack: Stack) -> None:
    """OpenAI's client, as the page on the local model shows it, is answered in words."""
    program = program_in("local-model.md")
    for written, ours in (
        ("http://127.0.0.1:8099/v1", stack.environ["OPENAI_BASE_URL"]),
        ('api_key="none"', f'api_key="{stack.environ["OPENAI_API_KEY"]}"'),
    ):
        assert written in program
        program = program.replace(written, ours)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            said, problems = await process.communicate(program.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, problems.decode()
    assert len(said.split()) > 3
