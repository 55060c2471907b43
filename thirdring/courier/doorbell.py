"""Where whoever has closed a journal rings, so that nobody waits for the next look around."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["answering"]

logger = logging.getLogger(__name__)

_NAME = "courier.sock"  # as `thirdring.journal.waking` knows it


@contextmanager
def answering(folder: Path, on_ring: Callable[[], None]) -> Iterator[None]:
    """Call `on_ring` in the running loop when a datagram comes to the socket in `folder`.

    The caller sees to it that no other process listens there: what a dead one has left is replaced.
    What hinders it is logged only, for the courier looks around by itself too.
    """
    try:
        bell = _bound(folder)
    except OSError as error:
        logger.warning(
            "%s: nobody can ring there (%s); ended calls are found a little later",
            folder / _NAME,
            error.strerror,
        )
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(bell, _answer, bell, on_ring)
    try:
        yield
    finally:
        loop.remove_reader(bell)
        bell.close()
        with suppress(OSError):
            (folder / _NAME).unlink()


def _bound(folder: Path) -> socket.socket:
    # It gets its name only when nobody else may use it, and there is no moment without one.
    draft = folder / f".{secrets.token_hex(4)}"
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        bell.settimeout(0)
        with _short(draft) as address:
            bell.bind(address)
        draft.chmod(0o600)
        draft.replace(folder / _NAME)
    except BaseException:
        bell.close()
        draft.unlink(missing_ok=True)
        raise
    return bell


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Yield an address of at most 107 bytes (unix(7)), however deep the folder is."""
    if len(os.fsencode(path)) <= 100:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def _answer(bell: socket.socket, on_ring: Callable[[], None]) -> None:
    # However often somebody rang, one look is enough.
    with suppress(BlockingIOError):
        while True:
            bell.recv(1)
            on_ring()
