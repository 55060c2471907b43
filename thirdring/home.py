"""Where state lives on disk: journals, the store, logs; `.thirdring` unless told otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from thirdring.errors import ConfigError, Problem

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """The folder that holds all state; `THIRDRING_HOME` moves it."""

    root: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Return the folder that `THIRDRING_HOME` names, else `.thirdring` in the current one."""
        return cls(Path(environ.get("THIRDRING_HOME") or ".thirdring").absolute())

    def made(self) -> Self:
        """Return this home, once its folder is there.

        Raises:
            ConfigError: It cannot be made or written to.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            why = "" if os.access(self.root, os.W_OK | os.X_OK) else "not ours to write to"
        except OSError as error:
            why = error.strerror or type(error).__name__
        if why:
            what = f"cannot be used ({why})"
            expected = "a folder that this user may make and write to"
            problem = Problem("environment", 0, 0, "THIRDRING_HOME", what, str(self.root), expected)
            raise ConfigError([problem])
        return self

    @property
    def journals(self) -> Path:
        """One `<call id>.jsonl` per call that has no record yet."""
        return self.root / "journals"

    @property
    def archive(self) -> Path:
        """Journals whose record is in the store."""
        return self.root / "archive"

    @property
    def store(self) -> Path:
        """The SQLite file: appointments, records, deliveries."""
        return self.root / "store.db"

    @property
    def logs(self) -> Path:
        """One file per local program."""
        return self.root / "logs"
