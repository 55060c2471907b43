"""The programs of a storm are gone with whoever started them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STARTS_ONE = """
import asyncio, sys
from pathlib import Path
from local.chaos.programs import Program
from local.parts.part import Part

HOLDS_THE_PIPE = "import sys, time; pipe = open(sys.argv[1], 'w'); time.sleep(600)"

async def ready():
    return True

async def main():
    argv = (sys.executable, "-c", HOLDS_THE_PIPE, sys.argv[1])
    program = Program(Part("sleeper", argv, Path(sys.argv[2]), ready))
    await program.start()
    await program.gone()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no other system can do it")
def test_a_program_is_gone_with_whoever_started_it(tmp_path: Path) -> None:
    """Killed in the middle, a storm leaves no program behind."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    argv = (sys.executable, "-c", STARTS_ONE, str(pipe), str(tmp_path / "log"))
    with subprocess.Popen(argv) as storm, pipe.open() as held:
        # Opened: the program runs and holds its other end, which closes when it dies.
        storm.kill()
        assert held.read() == ""
