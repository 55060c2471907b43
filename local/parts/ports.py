"""Finds free ports on this machine, and says who holds one that is not."""

from __future__ import annotations

import errno
import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from thirdring.errors import PartError

__all__ = ["LOOPBACK", "Port", "free_port", "holder", "own_address"]

LOOPBACK = "127.0.0.1"

# Below the ephemeral ports of Linux (32768) and macOS (49152), which any outgoing connection may
# take between our look and the part's bind, and above the gateway's usual RTP ports.
_RANGE = range(21000, 32000)
_handed_out: set[int] = set()


@dataclass(frozen=True)
class Port:
    """One port that a part will listen on."""

    number: int
    protocol: Literal["tcp", "udp"] = "tcp"
    host: str = LOOPBACK

    def check(self, part: str) -> None:
        """Raise PartError when `part` cannot listen here."""
        reason = _refusal(self)
        if reason is None:
            return
        where = f"{self.host}:{self.number}/{self.protocol}"
        if reason != errno.EADDRINUSE:
            raise PartError(f"{part} cannot listen on {where}: {os.strerror(reason)}")
        who = holder(self)
        by = "another program" if who is None else who
        raise PartError(
            f"{part} cannot listen on {where}: {by} holds it; stop that or choose another port"
        )


def free_port() -> int:
    """Return a port that is free for TCP and UDP on loopback, never the same twice.

    Raises:
        PartError: Several thousand ports were tried in vain.
    """
    for number in random.sample(_RANGE, len(_RANGE)):
        if number in _handed_out:
            continue
        if all(_refusal(Port(number, protocol)) is None for protocol in ("tcp", "udp")):
            _handed_out.add(number)
            return number
    raise PartError(f"no free port on {LOOPBACK} from {_RANGE.start} to {_RANGE.stop - 1}")


def own_address() -> str | None:
    """Return this machine's address on its network; None when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Chooses the address that leads outside (RFC 5737: nobody is there); sends nothing.
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def _refusal(port: Port) -> int | None:
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as probe:
        if port.protocol == "tcp":
            # As the parts themselves do: connections that closed a moment ago do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
        except OSError as error:
            return error.errno or errno.EINVAL
    return None


def holder(port: Port) -> str | None:
    """Return who listens on a port, as in `sshd (pid 12)`; None when that cannot be seen.

    It cannot on macOS, nor when the program belongs to another user.
    """
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(descriptor.readlink())
            if target in inodes:
                pid = descriptor.parts[2]
                return f"{Path('/proc', pid, 'comm').read_text().strip()} (pid {pid})"
        except OSError:
            continue  # it ended meanwhile, or belongs to another user
    return None


def _listening_inodes(port: Port) -> set[str]:
    # proc(5): local address and port in hexadecimal, state, inode. 0A is TCP_LISTEN; an
    # unconnected UDP socket has 07 (TCP_CLOSE).
    state = "0A" if port.protocol == "tcp" else "07"
    found = set()
    for table in (port.protocol, f"{port.protocol}6"):
        try:
            rows = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == state and int(columns[1].rpartition(":")[2], 16) == port.number:
                found.add(f"socket:[{columns[9]}]")
    return found
