"""Connecting a caller with somebody else, as far as tools know of it."""

from __future__ import annotations

from typing import Protocol

from thirdring.settings import Destination

__all__ = ["Transfer"]


class Transfer(Protocol):
    """The port of one call that connects its caller."""

    async def to(self, destination: Destination) -> None:
        """Connect the caller with a destination of the business; return once they can talk.

        Raises:
            ToolRefused: It did not come about; says why.
        """
        ...
