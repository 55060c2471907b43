"""Which journals may be finished, found cheaply however many calls go on."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thirdring.journal import has_ended, is_owned

__all__ = ["Watcher"]

logger = logging.getLogger(__name__)

_OWNER_SECONDS: Final = 0.5
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 60.0
_LOCKS: Final = Path("/proc/locks")

_Inode = tuple[int, int]
"""Device and number of a file."""


@dataclass
class _Seen:
    """What is known of a journal that could not be finished so far."""

    size: int = -1
    ended: bool = False
    owner_at: float = 0.0
    not_before: float = 0.0
    retry: float = _FIRST_RETRY


class Watcher:
    """Remembers of each journal in a folder what makes the next look at it cheap."""

    def __init__(self, journals: Path) -> None:
        self._journals = journals
        self._seen: dict[str, _Seen] = {}
        self._locks: Set[_Inode] = frozenset()
        self._locks_at = 0.0

    def finished(self) -> list[Path]:
        """Return the journals that have ended, or that nobody seems to write to any more.

        Raises:
            OSError: The folder cannot be read.
        """
        now = time.monotonic()
        with os.scandir(self._journals) as items:
            found = {item.name: item for item in items if item.name.endswith(".jsonl")}
        self._seen = {name: self._seen.get(name) or _Seen() for name in found}
        return [
            self._journals / name
            for name in sorted(found)
            if self._seen[name].not_before <= now and self._is_finished(found[name], now)
        ]

    def failed(self, path: Path, why: object) -> None:
        """Leave a journal alone for a while, the longer the more often; said once."""
        seen = self._seen.setdefault(path.name, _Seen())
        if seen.not_before == 0:
            logger.error("%s: no record yet: %s; it is tried again", path.name, why)
        seen.not_before = time.monotonic() + seen.retry
        seen.retry = min(_LONGEST_RETRY, seen.retry * 2)

    def _is_finished(self, item: os.DirEntry[str], now: float) -> bool:
        seen = self._seen[item.name]
        path = Path(item.path)
        try:
            found = item.stat()
            if found.st_size != seen.size:
                seen.size = found.st_size
                seen.ended = has_ended(path)
            # Its writer may hold it for a moment longer: it is tried at every look.
            if seen.ended:
                return True
            if now < seen.owner_at:
                return False
            seen.owner_at = now + _OWNER_SECONDS
            return not (self._is_held((found.st_dev, found.st_ino), now) or is_owned(path))
        except FileNotFoundError:
            return False
        except OSError as error:
            self.failed(path, f"cannot be looked at ({error.strerror})")
            return False

    def _is_held(self, inode: _Inode, now: float) -> bool:
        """Whether a living process has locked a file; False when that cannot be told so cheaply."""
        if self._locks_at != now:
            self._locks_at, self._locks = now, _locks()
        return inode in self._locks


def _locks() -> Set[_Inode]:
    """Return what living processes have locked (proc_locks(5)); nothing where one cannot see it."""
    try:
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return frozenset()
    locks = [fields for fields in map(str.split, lines) if fields[1] == "FLOCK"]
    # A lock can outlive its process in a forked child.
    living = {pid for pid in {fields[4] for fields in locks} if _lives(pid)}
    return {_inode(fields[5]) for fields in locks if fields[4] in living}


def _inode(text: str) -> _Inode:
    major, minor, number = text.split(":")
    return os.makedev(int(major, 16), int(minor, 16)), int(number)


def _lives(pid: str) -> bool:
    try:
        stat = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(") ")[2][:1] not in {"Z", "X"}  # waits to be buried
