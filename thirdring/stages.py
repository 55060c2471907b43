"""When a call came to what: one line of the log for whoever wonders where its time has gone."""

from __future__ import annotations

import logging
from collections.abc import Callable

__all__ = ["Stages"]

logger = logging.getLogger(__name__)


class Stages:
    """Seconds after the opening of a call, by stage; the first time counts.

    Args:
        offset: Tells how old the call is.

    Attributes:
        model_session: The id of the model's session, by which its provider finds the call.
    """

    def __init__(self, offset: Callable[[], float]) -> None:
        self._offset = offset
        self._reached: dict[str, float] = {}
        self.model_session: str | None = None
        self.reach("received")

    def reach(self, stage: str) -> None:
        """Note that the call has come to this stage."""
        self._reached.setdefault(stage, self._offset())

    def model_connected(self, session: str) -> None:
        """Note that the model is there; a connection that is made anew has another session."""
        self.reach("model_connected")
        self.model_session = session

    def log(self, *, turns: int) -> None:
        """Write the line; the call is over."""
        self.reach("total")
        seconds = {f"{stage}_seconds": at for stage, at in self._reached.items()}
        logger.info(
            "stages of the call",
            extra={**seconds, "turns": turns, "model_session": self.model_session},
        )
