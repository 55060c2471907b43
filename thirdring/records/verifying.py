"""All journals against all records: what is missing, what differs, what has been damaged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from thirdring.home import Home
from thirdring.records.comparing import Remade, difference, remade
from thirdring.store import Store
from thirdring.store.history import bodies, names
from thirdring.store.outbox import NewRecord, Outbox, Put

__all__ = ["Finding", "Kind", "Verdict", "Verification"]

_AT_ONCE = 100
_NAMES = (".jsonl", ".jsonl.damaged")


class Kind(StrEnum):
    """What was found."""

    MISSING = "missing"  # an archived journal whose record is not in the store
    DIFFERENT = "different"  # the stored record is not the one that the journal gives
    UNREADABLE = "unreadable"  # the file cannot be read, or does not say which call it is
    DAMAGED = "damaged"  # lines of the journal are no entries
    SECOND = "second"  # another journal of a call whose record comes from the first one


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was written.

    Attributes:
        known: The courier saw it when it made the record: its log and the journal's name say so.
    """

    kind: Kind
    journal: Path
    call_id: str | None
    detail: str
    known: bool = False


@dataclass
class Verdict:
    """What came out.

    Attributes:
        archived, going_on: Journals that were read.
        same: Archived ones whose record is the stored one.
        elsewhere: Those whose record is made on another machine.
        orphans: Records without a journal here: it was deleted, or is on another machine.
        rebuilt: Missing records that were stored.
    """

    archived: int = 0
    going_on: int = 0
    same: int = 0
    elsewhere: int = 0
    orphans: int = 0
    rebuilt: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def counts(self) -> dict[Kind, int]:
        """Return how many findings there are of each kind."""
        counted = Counter(finding.kind for finding in self.findings)
        return {kind: counted[kind] for kind in Kind}

    @property
    def ok(self) -> bool:
        """Whether nothing was found that was not known."""
        return all(finding.known for finding in self.findings)


class Verification:
    """Reads every journal once; may run beside a courier, which goes on moving them."""

    def __init__(self, home: Home, store: Store, *, rebuild: bool, now: datetime) -> None:
        self._store = store
        self._rebuild = rebuild
        self._now = now
        self._home = home
        self._verdict = Verdict()
        self._matched: set[str] = set()
        self._with_journal: set[str] = set()
        self._records: set[str] = set()

    async def prepare(self) -> tuple[list[Path], list[Path]]:
        """Return the journals that go on and the archived ones, to be given to `run`."""
        # In this order: a record is there before its journal is moved, and a journal that is moved
        # in between is found where it came to.
        self._records = {call_id for call_id, _ in await names(self._store)}
        going_on = await asyncio.to_thread(_journals, self._home.journals)
        archived = await asyncio.to_thread(_journals, self._home.archive)
        there = {path.name for path in archived}
        return [path for path in going_on if path.name not in there], archived

    async def run(
        self, going_on: Sequence[Path], archived: Sequence[Path], advance: Callable[[int], None]
    ) -> Verdict:
        """Read and compare; `advance` hears how many journals more are done.

        Raises:
            StoreError: The store cannot be used.
        """
        for paths in _some(going_on):
            for item in await asyncio.to_thread(_remade, paths):
                self._look_at_open(item)
            advance(len(paths))
        unmatched: list[tuple[Remade, str]] = []
        for paths in _some(archived):
            unmatched += await self._compare(await asyncio.to_thread(_remade, paths))
            advance(len(paths))
        for item, detail in unmatched:
            assert item.record is not None
            second = item.record.call_id in self._matched
            kind = Kind.SECOND if second else Kind.DIFFERENT
            self._find(kind, item, detail, known=second)
        self._verdict.orphans = len(self._records - self._with_journal)
        return self._verdict

    def _look_at_open(self, item: Remade) -> None:
        if item.gone:
            return
        self._verdict.going_on += 1
        if item.record is not None:
            self._with_journal.add(item.record.call_id)
        if item.problem is not None:
            self._find(Kind.UNREADABLE, item, item.problem)

    async def _compare(self, items: Sequence[Remade]) -> list[tuple[Remade, str]]:
        """Return the journals whose record is there and differs, and how."""
        found = [item for item in items if not item.gone]
        self._verdict.archived += len(found)
        ids = [item.record.call_id for item in found if item.record is not None]
        stored = await bodies(self._store, ids)
        unmatched: list[tuple[Remade, str]] = []
        missing: list[Remade] = []
        for item in found:
            self._look_at_archived(item)
            if item.record is None:
                continue
            call_id = item.record.call_id
            self._with_journal.add(call_id)
            if call_id not in stored:
                missing.append(item)
            elif (detail := difference(item.record, stored[call_id])) is None:
                self._matched.add(call_id)
                self._verdict.same += 1
            else:
                unmatched.append((item, detail))
        await self._store_missing(missing)
        return unmatched

    def _look_at_archived(self, item: Remade) -> None:
        known = item.path.suffix == ".damaged"
        if item.elsewhere:
            self._verdict.elsewhere += 1
        elif item.record is None:
            detail = item.problem or "does not say which call it is"
            self._find(Kind.UNREADABLE, item, detail, known=known and item.problem is None)
        elif item.damaged_lines:
            detail = f"{item.damaged_lines} line(s) are no entries"
            self._find(Kind.DAMAGED, item, detail, known=known)
        elif item.torn:
            # As every process leaves it that was killed while it wrote.
            self._find(Kind.DAMAGED, item, "the last line is torn", known=True)

    async def _store_missing(self, missing: Sequence[Remade]) -> None:
        records = [item.record for item in missing if item.record is not None]
        if not self._rebuild:
            for item in missing:
                self._find(Kind.MISSING, item, "its record is not in the store")
            return
        # To be delivered nowhere: what had arrived is not known any more; a replay sends it.
        new = [NewRecord.of(record, ()) for record in records]
        put = await Outbox(self._store).put(new, self._now)
        for item, record, done in zip(missing, records, put, strict=True):
            if done is Put.CONFLICT:
                self._find(Kind.SECOND, item, "the first journal of this call counts", known=True)
                continue
            self._verdict.rebuilt += done is Put.STORED
            self._matched.add(record.call_id)

    def _find(self, kind: Kind, item: Remade, detail: str, *, known: bool = False) -> None:
        call_id = None if item.record is None else item.record.call_id
        self._verdict.findings.append(Finding(kind, item.path, call_id, detail, known))


def _journals(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.endswith(_NAMES) and not path.name.startswith(".")
    )


def _some(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), _AT_ONCE):
        yield paths[start : start + _AT_ONCE]


def _remade(paths: Sequence[Path]) -> list[Remade]:
    return [remade(path) for path in paths]
