"""Becomes another program, which Linux kills when whoever started us is gone.

Not by `preexec_fn`: Python 3.11 may wait for ever between fork and exec when a native thread was
just entering Python (PyOS_AfterFork_Child wants HEAD_LOCK), as LiveKit's threads do all the time.
Runs as a file under `python -I -S`, hence the standard library only:

    tether.py <program> [argument ...]
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the program is whatever we were given
