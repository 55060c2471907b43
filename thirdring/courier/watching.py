"""Which journals may be finished, found cheaply however many calls go on."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thirdring.journal import has_ended, is_owned, parse_entry

__all__ = ["Watcher"]

logger = logging.getLogger(__name__)

_OWNER_SECONDS: Final = 0.5
_LEFT_OVER_SECONDS: Final = 5.0
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 60.0


@dataclass
class _Seen:
    """What is known of a journal that could not be finished so far."""

    size: int = -1
    ended: bool = False
    owner_at: float = 0.0
    left_over_at: float = 0.0
    not_before: float = 0.0
    retry: float = _FIRST_RETRY


class Watcher:
    """Remembers of each journal in a folder what makes the next look at it cheap."""

    def __init__(self, journals: Path) -> None:
        self._journals = journals
        self._seen: dict[str, _Seen] = {}

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
            size = item.stat().st_size
            if size != seen.size:
                seen.size = size
                seen.ended = has_ended(path)
            # Its writer may hold it for a moment longer: it is tried at every look.
            return seen.ended or self._is_orphan(path, seen, now)
        except FileNotFoundError:
            return False
        except OSError as error:
            self.failed(path, f"cannot be looked at ({error.strerror})")
            return False

    def _is_orphan(self, path: Path, seen: _Seen, now: float) -> bool:
        if now >= seen.owner_at:
            seen.owner_at = now + _OWNER_SECONDS
            if not is_owned(path):
                return True
        if now >= seen.left_over_at:
            seen.left_over_at = now + _LEFT_OVER_SECONDS
            return _is_left_over(path)
        return False


def _is_left_over(path: Path) -> bool:
    """Whether a lock is all that is left of the last writer, as when a forked child lives on."""
    for line in reversed(path.read_bytes().split(b"\n")):
        if b'"writer"' in line:
            try:
                entry = parse_entry(line)
            except ValueError:
                continue
            writer = getattr(entry, "writer", None)
            return writer is not None and writer.is_certainly_dead()
    return False
