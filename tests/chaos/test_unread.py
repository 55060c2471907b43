"""What a reader has not read yet, as the storm's model asks the kernel."""

from __future__ import annotations

import socket
import sys

import pytest

from local.chaos.unread import Connection

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no other system has the table")


def test_bytes_are_unread_until_the_reader_takes_them() -> None:
    """Whatever arrived at a process that does not read is no news to it."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as reader,
        server.accept()[0] as sender,
    ):
        connection = Connection.between(sender.getsockname(), sender.getpeername())
        assert connection.unread() == 0
        sender.sendall(b"x" * 1000)
        assert connection.unread() == 1000
        assert len(reader.recv(400, socket.MSG_WAITALL)) == 400
        assert connection.unread() == 600
        assert len(reader.recv(600, socket.MSG_WAITALL)) == 600
        assert connection.unread() == 0


def test_a_connection_that_never_was_has_no_reader() -> None:
    """There is nobody who could read."""
    assert Connection.between(("127.0.0.1", 1), ("127.0.0.1", 2)).unread() is None
