"""The endpoints that deliveries go to: which are known, where they are, which are parked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

from thirdring.store.delivery import Endpoint
from thirdring.store.store import Connection

__all__ = ["configure", "known", "park", "parked", "unpark"]


def known(connection: Connection, endpoints: Iterable[Endpoint]) -> set[Endpoint]:
    """Make endpoints known; return those that are parked."""
    wanted = sorted(endpoints)
    connection.executemany(
        "INSERT INTO endpoints (business, sink) VALUES (?, ?)"
        " ON CONFLICT (business, sink) DO NOTHING",
        wanted,
    )
    return parked(connection) & set(wanted)


def parked(connection: Connection) -> set[Endpoint]:
    """Return the endpoints to which nothing is delivered, because they have answered 410."""
    rows = connection.execute("SELECT business, sink FROM endpoints WHERE parked_at IS NOT NULL")
    return {Endpoint(row["business"], row["sink"]) for row in rows}


def configure(
    connection: Connection, addresses: Mapping[Endpoint, str], now: str
) -> list[Endpoint]:
    """Make addresses known; return the endpoints that are parked no more.

    Only a digest is kept: an address may have a token in it.
    """
    known(connection, addresses)
    rows = connection.execute("SELECT * FROM endpoints").fetchall()
    before = {Endpoint(row["business"], row["sink"]): row for row in rows}
    freed = []
    for endpoint, address in sorted(addresses.items()):
        digest = sha256(address.encode()).hexdigest()
        row = before[endpoint]
        if row["address_digest"] == digest:
            continue
        connection.execute(
            "UPDATE endpoints SET address_digest = ? WHERE business = ? AND sink = ?",
            (digest, *endpoint),
        )
        if row["parked_at"] is not None:
            unpark(connection, endpoint, now)
            freed.append(endpoint)
    return freed


def park(connection: Connection, endpoint: Endpoint, now: str) -> None:
    """Let nothing more be delivered to an endpoint."""
    known(connection, [endpoint])
    connection.execute(
        "UPDATE endpoints SET parked_at = ? WHERE business = ? AND sink = ? AND parked_at IS NULL",
        (now, *endpoint),
    )
    connection.execute(
        "UPDATE deliveries SET state = 'parked', due_at = NULL, settled_at = ?,"
        " leased_by = NULL, leased_until = NULL"
        " WHERE business = ? AND sink = ? AND state = 'pending'",
        (now, *endpoint),
    )


def unpark(connection: Connection, endpoint: Endpoint, now: str) -> int:
    """Deliver to an endpoint again, with a schedule of its own; return how many were parked."""
    connection.execute(
        "UPDATE endpoints SET parked_at = NULL WHERE business = ? AND sink = ?", endpoint
    )
    return connection.execute(
        "UPDATE deliveries SET state = 'pending', attempts = 0, due_at = ?, settled_at = NULL"
        " WHERE business = ? AND sink = ? AND state = 'parked'",
        (now, *endpoint),
    ).rowcount
