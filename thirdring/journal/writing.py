"""Writing the append-only file of one call: durable entry by entry."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic_core import PydanticSerializationError

from thirdring.calls import Ending
from thirdring.errors import CallTaken
from thirdring.journal.durable import DurableFile
from thirdring.journal.entries import Ended, Entry, Opened

__all__ = ["Journal", "file_name"]

logger = logging.getLogger(__name__)


def file_name(call_id: str) -> str:
    """Return the name of a call's journal: letters, digits, `_` and `-`, then `.jsonl`.

    A Call-ID is the caller's to choose (RFC 3261 section 8.1.1.4), so anything else than a short
    plain id is shortened, replaced and told apart by a hash. `--` stands only before that hash.
    """
    if re.fullmatch(r"[A-Za-z0-9_-]{1,128}", call_id) and "--" not in call_id:
        return f"{call_id}.jsonl"
    digest = hashlib.sha256(call_id.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', call_id)[:64]}--{digest}.jsonl"


def _line(entry: Entry) -> bytes:
    try:
        text = entry.model_dump_json()
    except PydanticSerializationError:
        # Half a surrogate pair, as a model's JSON can hold, has no UTF-8 form.
        text = json.dumps(entry.model_dump(mode="json"), ensure_ascii=False)
    return text.encode(errors="replace") + b"\n"


class Journal:
    """The journal of one call while its job lives; leaving the context closes it.

    The file is locked (flock) until it is closed or its process dies, however it dies: that is how
    the Courier knows that nobody will write to it any more.
    """

    def __init__(self, path: Path, file: DurableFile) -> None:
        self._path = path
        self._file = file
        self._ended: Ending | None = None

    @classmethod
    def create(cls, folder: Path, opened: Opened) -> Self:
        """Start the journal of a call in `folder`; `opened` is durable when this returns.

        Waits for the disk on purpose: nobody may speak before the call is known.

        Raises:
            CallTaken: The call has a journal.
            OSError: The folder cannot be written.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / file_name(opened.leg.call_id)
        # It appears under its name only when it is locked and durable: whoever finds a journal
        # that is not locked knows that its writer is gone.
        descriptor, draft = tempfile.mkstemp(prefix=".", suffix=".draft", dir=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                size = file.write(_line(opened))
            os.fsync(descriptor)
            os.link(draft, path)
            _sync_folder(folder)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, FileExistsError):
                raise CallTaken(
                    f"call {opened.leg.call_id}: another job has opened {path}"
                ) from None
            raise
        finally:
            Path(draft).unlink()
        return cls(path, DurableFile(descriptor, name=str(path), size=size))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def path(self) -> Path:
        """Where it is until the Courier has taken it."""
        return self._path

    @property
    def ended(self) -> Ending | None:
        """How the call ended; None while it goes on."""
        return self._ended

    def append(self, entry: Entry) -> None:
        """Write `entry` soon (durable within 50 ms on a healthy disk), in the order of the calls.

        Nothing follows an ending: it is ignored.
        """
        if self._ended is not None:
            logger.debug("%s: %s after the ending is ignored", self._path.name, entry.kind)
            return
        self._file.append(_line(entry))
        if isinstance(entry, Ended):
            self._ended = entry.ending

    async def flush(self) -> None:
        """Wait until every entry so far is durable."""
        await self._file.flush()

    async def close(self) -> None:
        """Write what is left and unlock; without an `Ended` the Courier calls it interrupted."""
        await self._file.close()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
