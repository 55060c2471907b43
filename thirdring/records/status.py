"""Whether records and notices reach those they are for: courier, journals, outbox, staff."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import JsonValue
from rich.console import Console

from thirdring.home import Home
from thirdring.journal import has_ended, is_owned
from thirdring.journal.locks import holder_pid
from thirdring.records.documents import text_of
from thirdring.records.moments import when
from thirdring.records.screen import Column, json_text, show_table
from thirdring.store import Store
from thirdring.store.delivery import DeliveryState
from thirdring.store.history import ParkedEndpoint, Queue, outbox
from thirdring.store.notifications import NotificationQueue, NotificationState, Standing

__all__ = ["CourierState", "Journals", "Status", "show_status", "status"]

_SILENT: Final = timedelta(seconds=15)
"""The courier touches its lock every second while all is well."""

_WAITING: Final = timedelta(minutes=1)
"""So long a journal may wait for the courier."""


_GIVEN_UP: Final = timedelta(days=7)
"""So long a notification that nobody got is spoken of."""


@dataclass(frozen=True)
class CourierState:
    """The courier of this home.

    Attributes:
        pid, since: None when it runs, but in another container.
        well_at: When it last said that all is well.
    """

    running: bool
    pid: int | None = None
    since: datetime | None = None
    well_at: datetime | None = None


@dataclass(frozen=True)
class Journals:
    """Calls without a record.

    Attributes:
        going_on: Somebody may write still.
        waiting: Nobody does: the courier is to take them.
        oldest_at: When the first of those was written last.
    """

    going_on: int
    waiting: int
    oldest_at: datetime | None


@dataclass(frozen=True)
class Status:
    """How things are; see `problems`."""

    now: datetime
    courier: CourierState
    journals: Journals
    records: int
    queues: Sequence[Queue]
    parked: Sequence[ParkedEndpoint]
    notifications: Sequence[Standing] = ()

    def problems(self, longest_wait: timedelta) -> list[str]:
        """Return what somebody must look at, one line each.

        Args:
            longest_wait: So long a record may take to be delivered.
        """
        return list(self._problems(longest_wait))

    def _problems(self, longest_wait: timedelta) -> Iterator[str]:
        courier, journals = self.courier, self.journals
        if not courier.running:
            yield "no courier runs here: start `python ring.py courier`"
        elif courier.well_at is None or self.now - courier.well_at > _SILENT:
            silent = "ever" if courier.well_at is None else f"since {when(courier.well_at)} UTC"
            yield f"the courier has not been well {silent}: see its log"
        if journals.oldest_at is not None and self.now - journals.oldest_at > _WAITING:
            yield f"{journals.waiting} ended call(s) wait for the courier"
        # Where all that was parked has been dismissed, nobody waits.
        waiting = {q.endpoint for q in self.queues if q.state is DeliveryState.PARKED}
        for parked in (each for each in self.parked if each.endpoint in waiting):
            yield (
                f"{_named(parked.endpoint)} has answered 410 at {when(parked.since)} UTC and"
                " gets nothing: change its address, or `records replay --all`"
            )
        for queue in self.queues:
            yield from _problems_of(queue, self.now, longest_wait)
        for standing in self.notifications:
            yield from _untold(standing, self.now, longest_wait)


def _problems_of(queue: Queue, now: datetime, longest_wait: timedelta) -> Iterator[str]:
    if queue.state is DeliveryState.DEAD:
        yield (
            f"{_named(queue.endpoint)}: {queue.count} dead letter(s), see `records dead`, then"
            " `records replay` or `records dismiss`"
        )
    if queue.state is DeliveryState.PENDING and now - queue.oldest_at > longest_wait:
        yield (
            f"{_named(queue.endpoint)}: {queue.count} record(s) wait, the oldest of a call that"
            f" ended {when(queue.oldest_at)} UTC"
        )


def _untold(standing: Standing, now: datetime, longest_wait: timedelta) -> Iterator[str]:
    if standing.state is NotificationState.DEAD:
        yield (
            f"{standing.business}: {standing.count} notification(s) of staff were given up in the"
            " last 7 days: see the courier's log, and mend the addresses"
        )
    if standing.state is NotificationState.PENDING and now - standing.oldest_at > longest_wait:
        yield (
            f"{standing.business}: {standing.count} notification(s) of staff wait, the oldest since"
            f" {when(standing.oldest_at)} UTC"
        )


def _named(endpoint: tuple[str, str]) -> str:
    return f"{endpoint[0]}/{endpoint[1]}"


async def status(store: Store, home: Home, now: datetime) -> Status:
    """Return how things are.

    Raises:
        StoreError: The store cannot be used.
        OSError: The home folder cannot be read.
    """
    courier = await asyncio.to_thread(_courier, home)
    journals = await asyncio.to_thread(_journals, home.journals)
    queues, parked, records = await outbox(store)
    told = await NotificationQueue(store).standing(dead_since=now - _GIVEN_UP)
    return Status(now, courier, journals, records, queues, parked, told)


def show_status(out: Console, found: Status, longest_wait: timedelta, *, as_json: bool) -> bool:
    """Print how things are; return whether nobody has to look."""
    problems = found.problems(longest_wait)
    if as_json:
        out.file.write(f"{json_text(_document(found, problems), indent=2)}\n")
        return not problems
    courier = found.courier
    if courier.running:
        process = "in another container" if courier.pid is None else f"process {courier.pid}"
        since = f" since {when(courier.since)} UTC" if courier.since else ""
        out.print(f"courier   runs, {process}{since}")
    else:
        out.print("courier   does not run")
    out.print(f"journals  {found.journals.going_on} going on, {found.journals.waiting} waiting")
    out.print(f"records   {found.records}")
    if found.queues:
        out.print()
        _table(out, found.queues)
    if found.notifications:
        out.print()
        _notifications_table(out, found.notifications)
    if problems:
        out.print()
    for problem in problems:
        out.print(f"problem: {problem}", style="bold red", soft_wrap=True)
    return not problems


def _table(out: Console, queues: Sequence[Queue]) -> None:
    columns = [
        Column("business", folds=True),
        Column("sink"),
        Column("state"),
        Column("calls", right=True),
        Column("failing", right=True),
        Column("oldest (UTC)"),
        Column("next (UTC)"),
    ]
    rows = [
        [
            queue.endpoint.business,
            queue.endpoint.sink,
            queue.state,
            str(queue.count),
            str(queue.failing) if queue.state is DeliveryState.PENDING else "",
            f"{queue.oldest_at:%Y-%m-%d %H:%M}",
            f"{queue.next_at:%m-%d %H:%M}" if queue.next_at else "",
        ]
        for queue in queues
    ]
    show_table(out, columns, rows)


def _notifications_table(out: Console, told: Sequence[Standing]) -> None:
    columns = [
        Column("business", folds=True),
        Column("notifications"),
        Column("count", right=True),
        Column("oldest (UTC)"),
    ]
    rows = [
        [each.business, each.state, str(each.count), f"{each.oldest_at:%Y-%m-%d %H:%M}"]
        for each in told
    ]
    show_table(out, columns, rows)


def _document(found: Status, problems: list[str]) -> JsonValue:
    courier, journals = found.courier, found.journals
    return {
        "ok": not problems,
        "problems": [*problems],
        "courier": {
            "running": courier.running,
            "pid": courier.pid,
            "since": text_of(courier.since),
            "well_at": text_of(courier.well_at),
        },
        "journals": {**asdict(journals), "oldest_at": text_of(journals.oldest_at)},
        "records": found.records,
        "deliveries": [
            {
                "business": queue.endpoint.business,
                "sink": queue.endpoint.sink,
                "state": queue.state,
                "count": queue.count,
                "failing": queue.failing,
                "oldest_at": text_of(queue.oldest_at),
                "next_at": text_of(queue.next_at),
            }
            for queue in found.queues
        ],
        "parked": [
            {
                "business": each.endpoint.business,
                "sink": each.endpoint.sink,
                "since": text_of(each.since),
            }
            for each in found.parked
        ],
        "notifications": [
            {
                "business": each.business,
                "state": each.state,
                "count": each.count,
                "oldest_at": text_of(each.oldest_at),
            }
            for each in found.notifications
        ],
    }


def _courier(home: Home) -> CourierState:
    lock = home.root / "courier.lock"
    try:
        well_at = datetime.fromtimestamp(lock.stat().st_mtime, UTC)
    except FileNotFoundError:
        return CourierState(running=False)
    pid = holder_pid(lock)
    if pid is None and not _is_locked(lock):
        return CourierState(running=False, well_at=well_at)
    # 0: of another pid namespace (proc_locks(5)).
    since = _started_at(pid) if pid else None
    return CourierState(running=True, pid=pid or None, since=since, well_at=well_at)


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _started_at(pid: int) -> datetime | None:
    """Return when a process began; the 22nd field of proc_pid_stat(5), in ticks after the boot."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        up = time.clock_gettime(time.CLOCK_BOOTTIME)
    except OSError:
        return None
    seconds = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return datetime.fromtimestamp(time.time() - up + seconds, UTC)


def _journals(folder: Path) -> Journals:
    going_on, waiting = 0, []
    for path in folder.glob("*.jsonl"):
        try:
            if is_owned(path) and not has_ended(path):
                going_on += 1
            else:
                waiting.append(path.stat().st_mtime)
        except FileNotFoundError:
            continue  # the courier has taken it
    oldest = datetime.fromtimestamp(min(waiting), UTC) if waiting else None
    return Journals(going_on, len(waiting), oldest)
