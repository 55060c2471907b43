"""From the journals of ended calls to records in the outbox."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from thirdring.calls import EndReason
from thirdring.clock import Clock
from thirdring.errors import JournalError, StoreError
from thirdring.home import Home
from thirdring.journal import JournalContents, Opened, has_ended, is_owned, read
from thirdring.record import Record, build
from thirdring.settings import Settings
from thirdring.store.outbox import NewRecord, Outbox, Put

__all__ = ["Collector"]

logger = logging.getLogger(__name__)

_OWNER_CHECK_SECONDS = 0.5
_RETRY_SECONDS = 1.0


class Collector:
    """Looks for journals that nobody writes to any more, and stores the record of each.

    A journal goes to the archive only after its record is in the store. Whoever dies between the
    two leaves a journal whose record is known: the next look only archives it.
    """

    def __init__(self, home: Home, settings: Settings, outbox: Outbox, clock: Clock) -> None:
        self._home = home
        self._outbox = outbox
        self._clock = clock
        self._with_webhook = {b.slug for b in settings.businesses if b.webhook is not None}
        # Of each call that goes on: the size of its journal, and when to look for its owner.
        self._seen: dict[Path, tuple[int, float]] = {}
        self._not_before: dict[Path, float] = {}

    async def collect(self) -> int:
        """Store the record of every finished journal; return how many are new.

        Raises:
            OSError: The folder of journals cannot be read.
        """
        stored = 0
        for path in await asyncio.to_thread(self._finished):
            try:
                stored += await self._store(path)
            except (OSError, JournalError, StoreError):
                # The disk or the store, not the call: the journal stays where it is.
                logger.exception("%s: no record yet; tried again", path.name)
                self._not_before[path] = time.monotonic() + _RETRY_SECONDS
        return stored

    def _finished(self) -> list[Path]:
        found = [Path(item.path) for item in os.scandir(self._home.journals)]
        journals = sorted(path for path in found if path.suffix == ".jsonl")
        self._seen = {path: self._seen[path] for path in journals if path in self._seen}
        self._not_before = {
            path: at for path, at in self._not_before.items() if at > time.monotonic()
        }
        return [
            path for path in journals if path not in self._not_before and self._is_finished(path)
        ]

    def _is_finished(self, path: Path) -> bool:
        """Whether it ends with an `Ended` or nobody owns it; cheap while nothing changes."""
        now = time.monotonic()
        size, check_owner_at = self._seen.get(path, (-1, 0.0))
        try:
            grown_to = path.stat().st_size
            if grown_to != size and has_ended(path):
                return True
            if now >= check_owner_at:
                check_owner_at = now + _OWNER_CHECK_SECONDS
                if not is_owned(path):
                    return True
        except OSError as error:
            logger.warning("%s: cannot be looked at: %s", path, error.strerror)
            self._not_before[path] = now + _RETRY_SECONDS
            return False
        self._seen[path] = (grown_to, check_owner_at)
        return False

    async def _store(self, path: Path) -> bool:
        contents = await asyncio.to_thread(read, path)
        if not contents.entries or not isinstance(contents.entries[0], Opened):
            logger.error("%s: does not say which call it is; archived as damaged", path.name)
            self._archive(path, ".damaged")
            return False
        record = build(contents.entries, last_written_at=_last_written_at(path, contents))
        body = record.model_dump_json().encode()
        new = NewRecord(
            call_id=record.call_id,
            record_id=record.id,
            business=record.business,
            body=body,
            sinks=("webhook",) if record.business in self._with_webhook else (),
            caller=record.caller_number,
            opened_at=record.opened_at,
            ended_at=record.ended_at,
            reason=record.ending.reason,
        )
        (put,) = await self._outbox.put([new], self._clock.now())
        if put is Put.CONFLICT:
            logger.error(
                "call %s: %s tells another story than the record that is stored already; "
                "that one stays, the journal is archived",
                record.call_id,
                path.name,
            )
        elif put is Put.STORED:
            self._report(record, contents)
        self._archive(path, ".damaged" if contents.damaged_lines else "")
        return put is Put.STORED

    def _report(self, record: Record, contents: JournalContents) -> None:
        kept = record.business not in self._with_webhook
        interrupted = record.ending.reason is EndReason.INTERRUPTED
        # A record that is delivered is reported then: one line per record in a quiet log.
        usual = logging.INFO if kept else logging.DEBUG
        logger.log(
            logging.WARNING if interrupted or contents.damaged_lines else usual,
            "call %s (%s): %s after %.1f s, %d turns, %d damaged lines; %s",
            record.call_id,
            record.business or "no business",
            record.ending.reason,
            record.duration_seconds,
            len(record.turns),
            contents.damaged_lines,
            "kept, there is no webhook" if kept else "to be delivered",
            extra={"call_id": record.call_id, "record_id": str(record.id)},
        )

    def _archive(self, path: Path, suffix: str) -> None:
        archive = self._home.archive
        archive.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = archive / f"{path.name}{suffix}"
        # Two calls with one id: neither journal may be lost.
        count = 1
        while target.exists():
            count += 1
            target = archive / f"{path.stem}.{count}{path.suffix}{suffix}"
        path.rename(target)


def _last_written_at(path: Path, contents: JournalContents) -> datetime | None:
    if not contents.damaged_tail:
        return None
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
