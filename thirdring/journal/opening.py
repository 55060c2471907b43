"""What every writer of a journal does to the file: make it appear, go on where it stops."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Literal

from thirdring.journal.durable import sync_data
from thirdring.journal.entries import Entry, HandedOver, Opened, line
from thirdring.journal.locks import sync_folder
from thirdring.journal.writer import Writer, boot_id

__all__ = ["append_durably", "file_name", "handed_over", "offset", "stamped", "start", "zero"]


def file_name(call_id: str) -> str:
    """Return the name of a call's journal: letters, digits, `_` and `-`, then `.jsonl`.

    A Call-ID is the caller's to choose (RFC 3261 section 8.1.1.4), so anything else than a short
    plain id is shortened, replaced and told apart by a hash. `--` stands only before that hash.
    """
    if re.fullmatch(r"[A-Za-z0-9_-]{1,128}", call_id) and "--" not in call_id:
        return f"{call_id}.jsonl"
    digest = hashlib.sha256(call_id.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', call_id)[:64]}--{digest}.jsonl"


def stamped(opened: Opened, role: Literal["gateway", "job"]) -> Opened:
    """Return `opened` as it is written: by this process, now, unless it says else."""
    return opened.model_copy(
        update={
            "offset": 0.0,
            "monotonic": time.monotonic() if opened.monotonic is None else opened.monotonic,
            "boot": boot_id(),
            "writer": opened.writer or Writer.here(role),
        }
    )


def handed_over(opened: Opened, began: float) -> HandedOver:
    """Return the entry of a job that takes a call which it would have opened so."""
    return HandedOver(
        at=opened.at,
        offset=offset(began),
        business=opened.business,
        line=opened.line,
        workflow=opened.workflow,
        model=opened.model,
        room=opened.room,
        job=opened.job,
        writer=opened.writer or Writer.here("job"),
    )


def zero(opened: Opened) -> float:
    """Return what the monotonic clock said at the opening, or would have said in another boot."""
    if opened.monotonic is not None and opened.boot is not None and opened.boot == boot_id():
        return opened.monotonic
    return time.monotonic() - max(0.0, time.time() - opened.at.timestamp())


def offset(began: float, at: datetime | None = None) -> float:
    """Return how many seconds after `began` it is now, or was at an instant before now."""
    now = max(0.0, time.monotonic() - began)
    ago = 0.0 if at is None else max(0.0, time.time() - at.timestamp())
    return round(max(0.0, now - ago), 3)


def start(path: Path, opened: Opened, *, lock: bool) -> tuple[int, int]:
    """Make a journal appear at `path`, its first line durable; return descriptor and size.

    It appears whole, and locked where that is wanted: whoever finds a journal that is not locked
    knows that nobody writes to it.

    Raises:
        FileExistsError: There is one.
        OSError: The folder cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=".", suffix=".draft", dir=path.parent)
    try:
        if lock:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            size = file.write(line(opened))
        os.fsync(descriptor)
        os.link(draft, path)
        sync_folder(path.parent)
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        Path(draft).unlink()
    return descriptor, size


def append_durably(descriptor: int, data: bytes, entry: Entry) -> int:
    """Write one more entry behind `data`, which is all that the file holds; return the new size.

    A writer may have died in the middle of a line: that line stays, and the entry gets its own.

    Raises:
        OSError: The disk is full or fails.
    """
    torn = bool(data) and not data.endswith(b"\n")
    added = b"\n" * torn + line(entry)
    written = 0
    while written < len(added):
        written += os.pwrite(descriptor, added[written:], len(data) + written)
    sync_data(descriptor)
    return len(data) + len(added)
