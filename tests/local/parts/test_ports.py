"""Free ports are free, and an occupied one says who holds it."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from local.parts.ports import LOOPBACK, Port, free_port
from thirdring.errors import PartError


def test_free_ports_are_never_handed_out_twice() -> None:
    """Parts that ask one after the other get different ports."""
    assert len({free_port() for _ in range(50)}) == 50


def test_a_free_port_can_be_bound() -> None:
    """A port that was handed out passes its own check, by TCP and by UDP."""
    number = free_port()
    Port(number, "tcp").check("part")
    Port(number, "udp").check("part")


def test_an_occupied_port_is_refused() -> None:
    """The error names the part and the address, and says how to mend it."""
    with socket.create_server((LOOPBACK, 0)) as server:
        number = server.getsockname()[1]
        expected = rf"part cannot listen on {LOOPBACK}:{number}/tcp: .*stop that or choose another"
        with pytest.raises(PartError, match=expected):
            Port(number).check("part")


def test_an_address_of_another_machine_is_refused() -> None:
    """What the system says reaches the user."""
    with pytest.raises(PartError, match=r"cannot listen on 192\.0\.2\.1:9/udp: .*assign"):
        Port(9, "udp", "192.0.2.1").check("part")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
@pytest.mark.parametrize(("protocol", "kind"), [("tcp", "SOCK_STREAM"), ("udp", "SOCK_DGRAM")])
def test_the_holder_of_a_port_is_named(protocol: str, kind: str) -> None:
    """On Linux the error says which process holds the port."""
    with socket.socket(socket.AF_INET, getattr(socket, kind)) as server:
        server.bind((LOOPBACK, 0))
        if protocol == "tcp":
            server.listen()
        port = Port(server.getsockname()[1], "udp" if protocol == "udp" else "tcp")
        with pytest.raises(PartError, match=rf" \(pid {os.getpid()}\) holds it"):
            port.check("part")
