"""Where state lives on disk: journals, the store, logs; `.thirdring` unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """The folder that holds all state; `THIRDRING_HOME` moves it."""

    root: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Return the folder that `THIRDRING_HOME` names, else `.thirdring` in the current one."""
        return cls(Path(environ.get("THIRDRING_HOME") or ".thirdring").absolute())

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
