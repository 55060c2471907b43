"""From the journals of ended calls to records in the outbox."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from thirdring.calls import EndReason
from thirdring.clock import Clock
from thirdring.courier.aftermath import fact_of, notice_of, report_callback
from thirdring.courier.watching import Watcher
from thirdring.home import Home
from thirdring.journal import JournalContents, claim, quarantine
from thirdring.record import Record, build
from thirdring.settings import Settings
from thirdring.store.outbox import NewRecord, Outbox, Put

__all__ = ["Collector"]

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 100
"""Records that are stored in one transaction: their journals stay locked as long as that takes."""

T = TypeVar("T")

_MANY: Final = 500
_PROGRESS_SECONDS: Final = 2.0


@dataclass(frozen=True)
class _Ready:
    """A journal that is ours to put away; without a record when there is none to make of it."""

    path: Path
    contents: JournalContents
    record: Record | None = None
    new: NewRecord | None = None


class Collector:
    """Looks for journals that nobody writes to any more, and stores the record of each.

    A journal goes to the archive only after its record is in the store. Whoever dies between the
    two leaves a journal whose record is known: the next look only archives it.

    Args:
        on_stored: Called after each transaction that has brought new records.

    Attributes:
        cost: Seconds of a core that the last look around has taken.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        outbox: Outbox,
        clock: Clock,
        on_stored: Callable[[], None],
    ) -> None:
        self._home = home
        self._businesses = {business.slug: business for business in settings.businesses}
        self._outbox = outbox
        self._clock = clock
        self._on_stored = on_stored
        self._watcher = Watcher(home.journals)
        self.cost = 0.0
        # Of its own: those of asyncio may all wait for the address of some receiver.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journals")

    async def collect(self) -> int:
        """Store the record of every finished journal; return how many are new.

        Raises:
            OSError: The folder of journals cannot be read.
            StoreError: The store cannot be used; what is not in it stays where it is.
        """
        found = await self._in_thread(self._look)
        stored = 0
        said_at = time.monotonic()
        if len(found) > _MANY:
            logger.info("making the records of %d calls", len(found))
        for start in range(0, len(found), _AT_ONCE):
            stored += await self._store(found[start : start + _AT_ONCE])
            if len(found) > _MANY and time.monotonic() - said_at > _PROGRESS_SECONDS:
                said_at = time.monotonic()
                logger.info("%d of %d calls have their record", start + _AT_ONCE, len(found))
        if len(found) > _MANY:
            logger.info("%d new records are stored", stored)
        return stored

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _look(self) -> list[Path]:
        began = time.thread_time()
        found = self._watcher.finished()
        self.cost = time.thread_time() - began
        return found

    async def _store(self, paths: Sequence[Path]) -> int:
        with ExitStack() as claims:
            ready = await self._in_thread(partial(self._claimed, paths, claims))
            with_record = [each for each in ready if each.new is not None]
            new = [each.new for each in with_record if each.new is not None]
            put = await self._outbox.put(new, self._clock.now()) if new else []
            for each, done in zip(with_record, put, strict=True):
                self._report(each, done)
            if stored := put.count(Put.STORED):
                self._on_stored()
            await self._in_thread(partial(self._archive_all, ready, claims))
        return stored

    def _claimed(self, paths: Sequence[Path], claims: ExitStack) -> list[_Ready]:
        """Return those of the journals that are ours now, until `claims` are given back."""
        ready = []
        for path in paths:
            try:
                contents = claims.enter_context(claim(path))
                if contents is not None:
                    ready.append(self._ready(path, contents))
            except Exception as error:
                # The disk, this journal, or a mistake of ours: it stays where it is, and the others
                # do not wait for it, as they would for a courier that dies of it again and again.
                self._watcher.failed(path, f"{type(error).__name__}: {error}")
        return ready

    def _ready(self, path: Path, contents: JournalContents) -> _Ready:
        if contents.opened is None:
            logger.error(
                "%s: does not say which call it is; archived as damaged, without a record",
                path.name,
            )
            return _Ready(path, contents)
        if contents.elsewhere:
            logger.info("%s: the record of this call comes from another machine", path.name)
            return _Ready(path, contents)
        record = build(contents.entries)
        business = self._businesses.get(record.business or "")
        if business is None:
            return _Ready(path, contents, record, NewRecord.of(record, ()))
        new = NewRecord.of(
            record,
            business.sink_names,
            notice=notice_of(record, business),
            fact=fact_of(record, business, self._clock.now()),
        )
        return _Ready(path, contents, record, new)

    def _report(self, ready: _Ready, put: Put) -> None:
        assert ready.record is not None
        assert ready.new is not None
        record, contents, sinks = ready.record, ready.contents, ready.new.sinks
        if put is Put.CONFLICT:
            logger.error(
                "call %s: %s tells another story than the record that is stored already; "
                "that one stays, the journal is archived",
                record.call_id,
                ready.path.name,
            )
        if put is not Put.STORED:
            return
        report_callback(record)
        interrupted = record.ending.reason is EndReason.INTERRUPTED
        unknown = record.business is not None and record.business not in self._businesses
        then = f"to be delivered ({', '.join(sinks)})" if sinks else "kept, it goes nowhere"
        if unknown:
            # As when the worker was started anew with the secret of a new one, and the courier not.
            then = (
                "kept: this courier knows no such business; `records replay` sends it once it does"
            )
        # A record that is delivered is reported then: one line per record in a quiet log.
        usual = logging.DEBUG if sinks else logging.INFO
        logger.log(
            logging.WARNING if interrupted or contents.damaged_lines or unknown else usual,
            "call %s (%s): %s after %.1f s, %d turns, %d damaged lines; %s",
            record.call_id,
            record.business or "no business",
            record.ending.reason,
            record.duration_seconds,
            len(record.turns),
            contents.damaged_lines,
            then,
            extra={"call_id": record.call_id, "record_id": str(record.id)},
        )

    def _archive_all(self, ready: Sequence[_Ready], claims: ExitStack) -> None:
        for each in ready:
            try:
                self._archive(each.path, each.contents)
            except OSError as error:
                self._watcher.failed(each.path, f"cannot be archived ({error.strerror})")
        claims.close()

    def _archive(self, path: Path, contents: JournalContents) -> None:
        archive = self._home.archive
        archive.mkdir(mode=0o700, parents=True, exist_ok=True)
        suffix = ".damaged" if contents.damaged_lines or contents.opened is None else ""
        target = archive / f"{path.name}{suffix}"
        # Two calls with one id: neither journal may be lost.
        count = 1
        while target.exists():
            count += 1
            target = archive / f"{path.stem}.{count}{path.suffix}{suffix}"
        quarantine(contents, target)
        path.rename(target)
