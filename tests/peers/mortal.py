"""What is played around a real courier: its receiver, and a store with which it dies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, TypeVar

from thirdring.errors import StoreError
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.store import Connection
from thirdring.store.sqlite import SqliteStore

__all__ = ["ANSWERS", "Killed", "MortalStore", "PlayedReceiver"]

T = TypeVar("T")

ANSWERS = {
    "204": DeliveryResult(Outcome.DELIVERED, 204),
    "410": DeliveryResult(Outcome.DISABLED, 410),
    "429": DeliveryResult(Outcome.RETRY, 429, retry_after=timedelta(seconds=90)),
    "503": DeliveryResult(Outcome.RETRY, 503),
    "500": DeliveryResult(Outcome.RETRY, 500),
    "timeout": DeliveryResult(Outcome.RETRY, error="no answer within 15 s"),
    # Its answer never came, but the receiver had it all.
    "lost": DeliveryResult(Outcome.RETRY, error="connection reset"),
}
HAS_IT = frozenset({"204", "500", "lost"})


class Killed(StoreError):
    """The courier is dead."""


class MortalStore:
    """The store of a courier that may die with any of its transactions.

    Attributes:
        fuse: After how many more it dies; None for not at all.
        committed: It dies right after that transaction, not right before.
    """

    def __init__(self, path: Path) -> None:
        self.inner = SqliteStore(path)
        self.fuse: int | None = None
        self.committed = False
        self.dead = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        await self.inner.connect()

    async def read(self, work: Callable[[Connection], T]) -> T:
        self._check()
        return await self.inner.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        self._check()
        if self.fuse is None:
            return await self.inner.write(work)
        self.fuse -= 1
        if self.fuse >= 0:
            return await self.inner.write(work)
        if self.committed:
            await self.inner.write(work)
        self.dead = True
        raise Killed("killed")

    async def close(self) -> None:
        await self.inner.close()

    def _check(self) -> None:
        if self.dead:
            raise Killed("killed")


@dataclass
class PlayedReceiver:
    """The sink: takes, refuses, says nothing, and may see the courier die; counts its tries."""

    address: str = "https://clinic.example/hook"
    answers: list[str] = field(default_factory=list)
    kill: str | None = None
    store: MortalStore | None = None
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    tries: int = 0

    async def deliver(self, record_id: str, body: bytes, now: datetime) -> DeliveryResult:
        del now
        self.tries += 1
        assert self.store is not None
        answer = self.answers.pop(0) if self.answers else "204"
        if self.store.dead:
            return DeliveryResult(Outcome.RETRY, error="nobody sends any more")
        if self.kill == "before":
            self.store.dead = True
            return DeliveryResult(Outcome.RETRY, error="killed")
        if answer in HAS_IT or self.kill == "after":
            self.bodies.setdefault(record_id, set()).add(body)
        if self.kill == "after":
            self.store.dead = True
        return ANSWERS[answer]
