"""One line per attempt while there are few; one per endpoint and second while there are many."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from datetime import datetime
from typing import Final

from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.store.outbox import DeliveryState, Due, Endpoint

__all__ = ["Reporter"]

logger = logging.getLogger(__name__)

_LINES_PER_SECOND: Final = 20


class Reporter:
    """Tells the log of attempts, legibly also after an outage with thousands of them."""

    def __init__(self) -> None:
        self._second = 0
        self._lines = 0
        self._unsaid: Counter[tuple[Endpoint, bool]] = Counter()

    def attempt(
        self, due: Due, result: DeliveryResult, state: DeliveryState, due_at: datetime | None
    ) -> None:
        """Say what came of an attempt; final failures are never left out."""
        arrived = result.outcome is Outcome.DELIVERED
        second = int(time.monotonic())
        if second != self._second:
            self.flush()
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > _LINES_PER_SECOND and state in (
            DeliveryState.DELIVERED,
            DeliveryState.PENDING,
        ):
            self._unsaid[due.endpoint, arrived] += 1
            return
        then = f"again at {due_at:%Y-%m-%d %H:%M:%S} UTC" if due_at else str(state)
        if state is DeliveryState.DEAD:
            then = "given up: a dead letter, see `python ring.py records dead`"
        elif state is DeliveryState.PARKED:
            then = "all for it is parked until its address changes or it is replayed"
        logger.log(
            logging.INFO if arrived else logging.WARNING,
            "call %s: record to the %s of %s, attempt %d: %s; %s",
            due.call_id,
            due.sink,
            due.business,
            due.attempts + 1,
            result.error or ("arrived" if result.status is None else f"HTTP {result.status}"),
            then,
            extra={"call_id": due.call_id, "record_id": due.record_id, "status": result.status},
        )

    async def run_forever(self) -> None:
        """Say once a second what was left out."""
        while True:
            await asyncio.sleep(1)
            self.flush()

    def flush(self) -> None:
        """Say what was left out."""
        for (endpoint, arrived), count in sorted(self._unsaid.items()):
            logger.log(
                logging.INFO if arrived else logging.WARNING,
                "%d more attempts at the %s of %s: %s",
                count,
                endpoint.sink,
                endpoint.business,
                "delivered" if arrived else "failed, each is tried again at its time",
            )
        self._unsaid.clear()
