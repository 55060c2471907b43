"""Who writes a journal: one process, told apart from every other that ever had its pid."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

__all__ = ["Writer", "boot_id"]

_PROC = Path("/proc")


class Writer(BaseModel):
    """One process. Only Linux tells all of this; where it is None, the lock alone counts.

    Attributes:
        role: A job has the call; a gateway or a courier only rings.
        started: When the process began, in clock ticks since the boot (proc_pid_stat(5), field 22).
        boot: The run of the kernel, as in /proc/sys/kernel/random/boot_id.
        pid_namespace: Where the pid counts, as `/proc/self/ns/pid` names it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["gateway", "job", "courier"]
    pid: int
    started: int | None = None
    boot: str | None = None
    pid_namespace: str | None = None

    @classmethod
    def here(cls, role: Literal["gateway", "job", "courier"]) -> Self:
        """Return what this process is."""
        pid = os.getpid()
        return cls(
            role=role,
            pid=pid,
            started=_started(pid),
            boot=boot_id(),
            pid_namespace=_pid_namespace(),
        )

    def is_certainly_dead(self) -> bool:
        """Whether the process is gone for sure; False wherever that cannot be known."""
        if self.started is None or self.boot is None or self.boot != boot_id():
            return False
        if self.pid_namespace is None or self.pid_namespace != _pid_namespace():
            return False
        return _is_gone(self.pid) or _started(self.pid) not in {self.started, None}


def boot_id() -> str | None:
    """Return the name of this run of the kernel; None where it has none."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _pid_namespace() -> str | None:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """Return when the process `pid` began; None when it cannot be seen."""
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is there, but not ours to see
        return False
    fields = _stat(pid)
    return fields is not None and fields[0] in {"Z", "X"}


def _stat(pid: int) -> list[str] | None:
    """Return what /proc says of a process from its state on (proc_pid_stat(5), field 3)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name of the program stands in parentheses and may hold some itself.
    return text.rpartition(")")[2].split()
