"""Stops a program after everything it does to a folder, and copies the folder each time.

`python -m tests.peers.stopping HOME COPIES COMMAND...` runs a program that prints a line when it
is ready and begins when it reads one. From then on every thread of it is stopped after each system
call that may have changed or synced a file in HOME (ptrace(2)), and HOME is copied to COPIES/0000,
COPIES/0001... unless it is as it was. At the end it prints a JSON object: `points` is how many
stops there were, `states` how many copies, `failed` the exit status of the program.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import shutil
import signal
import struct
import subprocess
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["can_stop"]

_INTERRUPT, _SEIZE, _SYSCALL, _SYSCALL_INFO = 0x4207, 0x4206, 24, 0x420E
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x100000  # sysgood, fork, vfork, clone, exitkill
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_ALL_THREADS = 0x40000000
_ENTRY, _EXIT = 1, 2

# System calls of x86-64: by descriptor, and by name.
_ON_FILE: Final = {1, 18, 20, 74, 75, 76, 77, 285, 296}  # write ... fsync fdatasync ... fallocate
_ON_NAME: Final = {82, 83, 84, 85, 86, 87, 88, 258, 263, 264, 265, 266, 316}  # rename mkdir link...
_OPEN, _OPENAT = 2, 257

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def can_stop() -> bool:
    """Whether this machine lets a program be stopped so; the numbers above are of x86-64."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return False
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            return bool(_libc.ptrace(_SEIZE, process.pid, None, _OPTIONS) == 0)
        finally:
            process.kill()


def _ptrace(request: int, thread: int, data: int = 0) -> None:
    if _libc.ptrace(request, thread, None, data) < 0:
        error = ctypes.get_errno()
        raise ProcessLookupError(error, os.strerror(error))


class _Stopper:
    def __init__(self, pid: int, home: Path, copies: Path) -> None:
        self.points = 0
        self.states = 0
        self._pid = pid
        self._home = home
        self._copies = copies
        self._last = b""
        self._calls: dict[int, tuple[int, ...]] = {}
        self._running: set[int] = set()
        # Threads that are stopped, and why: to be looked at, then to go on.
        self._stopped: deque[tuple[int, int]] = deque()

    def attach(self) -> None:
        """Follow every thread that there is; those that come are followed by themselves."""
        for thread in [int(path.name) for path in Path(f"/proc/{self._pid}/task").iterdir()]:
            _ptrace(_SEIZE, thread, _OPTIONS)
            _ptrace(_INTERRUPT, thread)
            os.waitpid(thread, _ALL_THREADS)
            self._go_on(thread, 0)

    def run(self) -> int:
        """Return the exit status of the program."""
        failed = 0
        while self._running or self._stopped:
            if not self._stopped:
                self._stopped.append(os.waitpid(-1, _ALL_THREADS))
            thread, status = self._stopped.popleft()
            self._running.discard(thread)
            if not os.WIFSTOPPED(status):
                if thread == self._pid:
                    failed = os.waitstatus_to_exitcode(status)
                continue
            self._go_on(thread, self._look(thread, status))
        return failed

    def _look(self, thread: int, status: int) -> int:
        """See why a thread has stopped; return the signal that it is to get."""
        why = os.WSTOPSIG(status)
        if why == _SYSCALL_STOP:
            if self._has_changed_something(thread):
                self._stop_all()
                self._copy()
            return 0
        return 0 if status >> 16 else why

    def _go_on(self, thread: int, with_signal: int) -> None:
        with suppress(ProcessLookupError):  # it was killed meanwhile, which is told by waitpid
            _ptrace(_SYSCALL, thread, with_signal)
        self._running.add(thread)

    def _stop_all(self) -> None:
        for thread in tuple(self._running):
            try:
                _ptrace(_INTERRUPT, thread)
            except ProcessLookupError:
                continue
            self._running.discard(thread)
            self._stopped.append(os.waitpid(thread, _ALL_THREADS))

    def _has_changed_something(self, thread: int) -> bool:
        info = ctypes.create_string_buffer(88)
        _libc.ptrace(_SYSCALL_INFO, thread, 88, ctypes.cast(info, ctypes.c_void_p))
        if info.raw[0] == _ENTRY:
            self._calls[thread] = struct.unpack_from("<7Q", info.raw, 24)
            return False
        call = self._calls.pop(thread, None)
        if call is None or info.raw[0] != _EXIT or struct.unpack_from("<q", info.raw, 24)[0] < 0:
            return False
        number, *arguments = call
        if number in _ON_FILE:
            return self._is_ours(thread, arguments[0])
        flags = {_OPEN: 1, _OPENAT: 2}.get(number)
        return number in _ON_NAME or (flags is not None and bool(arguments[flags] & os.O_CREAT))

    def _is_ours(self, thread: int, descriptor: int) -> bool:
        try:
            file = Path(f"/proc/{thread}/fd/{descriptor}").readlink()
        except OSError:
            return False
        return file.is_relative_to(self._home)

    def _copy(self) -> None:
        self.points += 1
        state = hashlib.sha256()
        for path in sorted(self._home.rglob("*")):
            # What SQLite shares in memory it makes anew.
            if path.is_file() and not path.name.endswith("-shm"):
                state.update(f"{path}\0{path.stat().st_size}\0".encode() + path.read_bytes())
        acknowledged = self._copies / "acknowledged"
        state.update(acknowledged.read_bytes())
        if state.digest() == self._last:
            return
        self._last = state.digest()
        copy = self._copies / f"{self.states:04}"
        shutil.copytree(self._home, copy / "home", ignore=_no_sockets)
        shutil.copy(acknowledged, copy / "acknowledged")
        self.states += 1


def _no_sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_socket()]


def main() -> None:
    """Do what the arguments say."""
    home, copies, *command = sys.argv[1:]
    (Path(copies) / "acknowledged").touch()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline(), "the program has not begun"
    stopper = _Stopper(process.pid, Path(home), Path(copies))
    stopper.attach()
    process.stdin.write(b"\n")
    process.stdin.flush()
    failed = stopper.run()
    json.dump({"points": stopper.points, "states": stopper.states, "failed": failed}, sys.stdout)


if __name__ == "__main__":
    main()
