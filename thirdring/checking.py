"""What `python ring.py check` says of a configuration."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thirdring import config, workflow
from thirdring.errors import ConfigError, Problem
from thirdring.home import Home
from thirdring.store import open_store

__all__ = ["Checked", "check"]


@dataclass(frozen=True)
class Checked:
    """A configuration that was read, and what came of it.

    Attributes:
        businesses: How many there are; 0 when there are problems.
        lines: As well.
        seconds: How long it took to read and check the files.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()
    businesses: int = 0
    lines: int = 0
    seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self) | {"seconds": round(self.seconds, 3)}

    def sentence(self, path: Path) -> str:
        """Return the result for people."""
        return (
            f"{path}: {_counted(self.businesses, 'business', 'businesses')}, "
            f"{_counted(self.lines, 'line', 'lines')}, no problems ({self.seconds:.2f} s)"
        )


def check(path: Path, environ: Mapping[str, str]) -> Checked:
    """Read the configuration at `path`; workflows and the store's address are checked as well."""
    began = time.perf_counter()
    try:
        workflows = workflow.discover()
        began = time.perf_counter()
        settings = config.load(path, workflows=workflows, environ=environ)
        seconds = time.perf_counter() - began
        home = Home.from_environment(environ)
        open_store(home, environ)
    except ConfigError as error:
        return Checked(error.problems, seconds=time.perf_counter() - began)
    return Checked(
        problems=(),
        warnings=tuple(config.warnings(settings, datetime.now(UTC).date(), home)),
        businesses=len(settings.businesses),
        lines=sum(len(business.lines) for business in settings.businesses),
        seconds=seconds,
    )


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
