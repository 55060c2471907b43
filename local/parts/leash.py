"""Runs one program and ends it, and what it started, when whoever holds our standard input is gone.

Standard input is one end of a pipe that nobody writes to: it closes when the holder closes it,
returns, crashes or is killed, on every Unix alike. Should the leash itself be killed, as asyncio
does when its loop closes while we still run, Linux kills the program. Runs as a file under
`python -I -S`, hence the standard library only:

    leash.py <grace in seconds> <program> [argument ...]
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

CANNOT_START = 127
_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> int:
    """Return the program's exit code, 128 and the signal's number when a signal ended it."""
    grace, argv = float(sys.argv[1]), sys.argv[2:]
    # Loaded before the fork: after it, hardly anything is safe to do.
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    try:
        # A session of its own: Ctrl-C in the terminal reaches the holder alone, who stops in order.
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=prctl and (lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)),  # noqa: PLW1509 - no thread runs yet
        )
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error.strerror}\n")
        return CANNOT_START
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: child.terminate())
    threading.Thread(target=_end_with_holder, args=(child, grace), daemon=True).start()
    code = child.wait()
    _kill_group(child.pid)
    return code if code >= 0 else 128 - code


def _end_with_holder(child: subprocess.Popen[bytes], grace: float) -> None:
    while os.read(sys.stdin.fileno(), 64):
        pass
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        _kill_group(child.pid)


def _kill_group(group: int) -> None:
    # macOS answers EPERM, not ESRCH, when only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
