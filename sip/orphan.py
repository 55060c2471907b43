"""Ends a job's process whose worker has died."""

from __future__ import annotations

import os
import threading
import time
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from typing import Final

__all__ = ["end_with_worker"]

_WINDING_UP_SECONDS: Final = 10.0
"""For the job's main thread, which LiveKit cancels when the worker is gone, `finish` included. What
may take long then is the close of a journal on a disk that fails: 6 s."""

_LEAVING_SECONDS: Final = 1.0
"""For Python to end the process by itself, and for the journal's thread to write what it has."""


def end_with_worker() -> None:
    """Have this process end when its worker does, however that dies; nothing for other processes.

    LiveKit's own end of a job whose worker was killed fails when the worker had not read all that
    the job had sent (livekit-agents 1.8.9, `_AsyncDuplex.aclose` raises DuplexClosed). Python then
    waits for the thread `ipc_log_forwarder`, which waits for ever: the process would keep 200 MB,
    the lock of its journal, and its place in the caller's room.
    """
    # Also behind a fork server this is the worker, and its sentinel the worker's own.
    worker = parent_process()
    if worker is not None:
        threading.Thread(target=_outlive, args=(worker,), name="orphan", daemon=True).start()


def _outlive(worker: BaseProcess) -> None:
    worker.join()
    threading.main_thread().join(_WINDING_UP_SECONDS)
    time.sleep(_LEAVING_SECONDS)
    os._exit(1)
