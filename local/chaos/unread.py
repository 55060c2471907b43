"""How much of what was sent over a connection its reader has not read yet, as Linux knows it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Connection"]

_TABLE = Path("/proc/net/tcp")  # proc_net_tcp.txt in the kernel's documentation
_LOCAL, _REMOTE, _QUEUES = 1, 2, 4


@dataclass(frozen=True)
class Connection:
    """An IPv4 connection within this machine, by its ends as the kernel's table spells them."""

    sender: str
    reader: str

    @classmethod
    def between(cls, sender: tuple[str, int], reader: tuple[str, int]) -> Self:
        """Return the one between two addresses, each an IPv4 address and a port."""
        return cls(_spelled(*sender), _spelled(*reader))

    def unread(self) -> int | None:
        """Return the bytes on their way to the reader and those that wait there to be read.

        None when the reader's end is gone; 0 where the kernel has no such table.
        """
        if not _TABLE.exists():
            return 0
        rows = (line.split() for line in _TABLE.read_text(encoding="ascii").splitlines()[1:])
        queues = {(row[_LOCAL], row[_REMOTE]): row[_QUEUES].split(":") for row in rows}
        if (waiting := queues.get((self.reader, self.sender))) is None:
            return None
        on_their_way = queues.get((self.sender, self.reader), ("0", "0"))
        return int(on_their_way[0], 16) + int(waiting[1], 16)


def _spelled(host: str, port: int) -> str:
    return f"{socket.inet_aton(host)[::-1].hex().upper()}:{port:04X}"
