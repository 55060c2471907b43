"""Where state lives on disk: journals, the store, logs; `.thirdring` unless told otherwise."""

from __future__ import annotations

import errno
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from thirdring.errors import ConfigError, DiskFull, Problem

__all__ = ["ATTRIBUTE", "NO_ROOM", "Home"]

ATTRIBUTE: Final = "thirdring.home"
"""Under this participant attribute an agent says the id of the home that its journals are in."""

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says of a disk that is full, or of a user who has used up a quota."""

_ROOM: Final = b"\0" * 64 * 1024
"""As much as a store that is opened, and the journal of a short call, take at once."""


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

    def with_room(self) -> Self:
        """Return this home, once something could be written there and taken away again.

        Raises:
            DiskFull: There is no room.
        """
        try:
            with tempfile.TemporaryFile(dir=self.root) as file:
                file.write(_ROOM)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise DiskFull(
                f"{self.root}: the disk is full ({error.strerror}); make room there, or set "
                "THIRDRING_HOME to a folder on another disk"
            ) from error
        return self

    @property
    def id(self) -> str:
        """What tells this home from any other one: 32 hex digits, made at the first use.

        A SIP side reads it from the agent in the room, to know whether the job writes its journal
        here or on another machine. Hence a home that is copied must not take its `id` along.

        Raises:
            ConfigError: It cannot be read or made, or holds something else.
        """
        path = self.root / "id"
        try:
            if not path.exists():
                self._make_id(path)
            text = path.read_bytes()[:64].decode("ascii", "replace").strip()
            what = "" if re.fullmatch("[0-9a-f]{32}", text) else "is no id"
        except OSError as error:
            what = f"cannot be used ({error.strerror or type(error).__name__})"
        if what:
            expected = "32 hex digits; remove it, and the next start makes a new one"
            raise ConfigError([Problem(str(path), 0, 0, "id", what, None, expected)])
        return text

    def _make_id(self, path: Path) -> None:
        # Whole from the moment that it has its name, whoever makes it at the same time.
        descriptor, draft = tempfile.mkstemp(prefix=".", suffix=".draft", dir=self.root)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{secrets.token_hex(16)}\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            Path(draft).unlink()

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
