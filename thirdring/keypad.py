"""The keys that our side of a call can press, as far as tools know of them."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Keypad"]


class Keypad(Protocol):
    """The port of one call that presses keys."""

    async def press(self, keys: str) -> None:
        """Press digits, `*`, `#` and A to D, in this order; return once all are on their way."""
        ...
