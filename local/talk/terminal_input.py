"""What is typed or piped in, line by line, beside an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType

__all__ = ["Lines", "kept_terminal"]

_CHUNK = 65536


def _termios() -> ModuleType | None:
    try:
        import termios  # noqa: PLC0415 - not on every system
    except ImportError:
        return None
    return termios


@contextlib.contextmanager
def kept_terminal() -> Iterator[None]:
    """Leave the terminal as it was found; a prompt that nobody answered would leave it raw."""
    termios = _termios()
    if termios is None or sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


class Lines:
    """Lines of standard input, one when it is asked for.

    On a terminal they can be edited, and called back, by readline. They are read by a daemon
    thread, for nothing can stop a read: when the agent hangs up, the one under way is left alone.

    Attributes:
        interactive: Somebody types at a terminal.
    """

    def __init__(self, prompt: str) -> None:
        # None where the standard input is closed.
        self.interactive = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        self._read: Callable[[], str | None] = _Piped().read
        if self.interactive:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401, PLC0415 - importing it is what turns editing on
            if isinstance(sys.stdin, io.TextIOWrapper):
                sys.stdin.reconfigure(errors="replace")
            self._read = lambda: _typed(prompt)
        self._wanted: queue.SimpleQueue[asyncio.Future[str | None]] = queue.SimpleQueue()
        self._under_way: asyncio.Future[str | None] | None = None
        threading.Thread(target=self._serve, name="standard input", daemon=True).start()

    async def next(self) -> str | None:
        """Return the next line without its end; None when there is none."""
        if self._under_way is None:
            self._under_way = asyncio.get_running_loop().create_future()
            self._wanted.put(self._under_way)
        line = await asyncio.shield(self._under_way)
        self._under_way = None
        return line

    def _serve(self) -> None:
        while True:
            future = self._wanted.get()
            line = self._read()
            with contextlib.suppress(RuntimeError):  # the loop has gone
                future.get_loop().call_soon_threadsafe(_resolve, future, line)


def _resolve(future: asyncio.Future[str | None], line: str | None) -> None:
    if not future.done():
        future.set_result(line)


def _typed(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        return None


class _Piped:
    """Reads the descriptor itself: a thread that sits in `sys.stdin` aborts Python at its end."""

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def read(self) -> str | None:
        while b"\n" not in self._rest and not self._ended:
            chunk = _chunk()
            self._ended = not chunk
            self._rest += chunk
        if not self._rest:
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")


def _chunk() -> bytes:
    try:
        return os.read(sys.stdin.fileno(), _CHUNK) if sys.stdin is not None else b""
    except OSError:  # a terminal that has gone, a descriptor that is closed: nothing more comes
        return b""
