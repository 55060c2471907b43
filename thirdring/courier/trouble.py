"""What fails for a while and then works again: said once each, however often it is tried."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from thirdring.errors import StoreError

__all__ = ["Trouble"]

logger = logging.getLogger(__name__)


class Trouble:
    """One thing that several tasks use and that can fail them, such as the store.

    Args:
        name: What the alarm is called, for whoever collects logs.
        meanwhile: What becomes of the calls until then, for people.
    """

    def __init__(self, name: str, meanwhile: str) -> None:
        self._name = name
        self._meanwhile = meanwhile
        self._failing: set[str] = set()

    @property
    def lasts(self) -> bool:
        """Whether it has failed anyone the last time."""
        return bool(self._failing)

    async def tried(self, task: str, work: Callable[[], Awaitable[object]], *, rest: float) -> bool:
        """Do `work` and return True; when the store fails it, False after a rest.

        Args:
            rest: Seconds.
        """
        try:
            await work()
        except StoreError as error:
            self.begin(task, error)
            await asyncio.sleep(rest)
            return False
        self.end(task)
        return True

    def begin(self, task: str, error: Exception) -> None:
        """Raise the alarm, unless it has been."""
        if not self._failing:
            logger.error(
                "ALARM: %s: %s; %s",
                self._name,
                error,
                self._meanwhile,
                extra={"alarm": self._name},
            )
        self._failing.add(task)

    def end(self, task: str) -> None:
        """Call the alarm off once it has failed nobody the last time."""
        if task in self._failing:
            self._failing.remove(task)
            if not self._failing:
                logger.warning("%s: works again", self._name, extra={"alarm_over": self._name})
