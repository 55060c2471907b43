"""`python ring.py talk`: type to the agent of a line."""

from __future__ import annotations

from thirdring.home import Home
from thirdring.settings import Settings

__all__ = ["talk"]


async def talk(home: Home, settings: Settings, *, line: str | None) -> None:
    """Talk until the call is over."""
    raise NotImplementedError(home, settings, line)
