"""A connection that is lost while a transaction is being committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest

from tests.peers.postgresql import Postgresql
from tests.samples import at, business
from tests.thirdring.store.test_outbox import claim, failed, new
from tests.thirdring.store.test_postgresql import at_url
from thirdring.store.appointments import AppointmentBook, Reservation, slots_of
from thirdring.store.outbox import Outbox, Put


@dataclass
class Line:
    """What is between a store and its server.

    Attributes:
        arrives: Whether the server still gets a COMMIT that the line is cut at.
        cuts: How many commits are still to be cut short.
    """

    server: int
    arrives: bool
    cuts: int = 0

    async def serve(self, store: asyncio.StreamReader, to_store: asyncio.StreamWriter) -> None:
        """Pass on what both sides say, until a commit is to be cut short."""
        server, to_server = await asyncio.open_connection("127.0.0.1", self.server)
        answers = asyncio.create_task(_pass_on(server, to_store))
        try:
            while said := await store.read(65536):
                if self.cuts and b"COMMIT\0" in said:
                    self.cuts -= 1
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                    if self.arrives:
                        to_server.write(said)
                        assert b"COMMIT" in await server.read(65536)
                    break
                to_server.write(said)
        finally:
            answers.cancel()
            to_server.close()
            to_store.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while said := await reader.read(65536):
        writer.write(said)


@asynccontextmanager
async def between(server: int, *, arrives: bool) -> AsyncIterator[tuple[Line, int]]:
    """Yield a line to a server, and the port at which it begins."""
    line = Line(server, arrives)
    listener = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    async with listener:
        yield line, listener.sockets[0].getsockname()[1]


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_without_an_answer_happens_once(
    postgresql: Postgresql, arrives: bool
) -> None:
    """Whether the server got it or not: one record, one caller, one attempt, one appointment."""
    clinic = business()
    slot = next(slots_of(clinic, date(2026, 11, 23)))
    wish = Reservation(slot, "Ada Byron", None, "c1", "c1:1")
    async with between(postgresql.port, arrives=arrives) as (line, port):
        url = postgresql.fresh().replace(f":{postgresql.port}/", f":{port}/")
        async with at_url(url) as store:
            await store.connect()
            outbox, book = Outbox(store), AppointmentBook(store, clinic)
            line.cuts = 1
            assert await outbox.put([new("c1")], at(0)) == [Put.KNOWN if arrives else Put.STORED]
            assert line.cuts == 0
            assert len(await claim(outbox, 0)) == 1
            line.cuts = 1
            await outbox.settle([failed("c1", 30)], owner="one", now=at(1))
            assert line.cuts == 0
            (due,) = await claim(outbox, 30)
            assert due.attempts == 1
            line.cuts = 1
            booked = await book.reserve(wish, now=datetime(2026, 11, 20, tzinfo=UTC))
            assert line.cuts == 0
            assert [booked] == await book.of_call("c1")
            rows = await store.read(lambda c: c.execute("SELECT calls FROM callers").fetchall())
            assert rows == [{"calls": 1}]
