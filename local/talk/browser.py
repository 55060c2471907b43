"""`python ring.py talk --browser`: one page on loopback, from which one can call a line."""

from __future__ import annotations

from thirdring.access import LiveKitAccess
from thirdring.settings import Business, Line

__all__ = ["serve"]


async def serve(access: LiveKitAccess, business: Business, line: Line, *, port: int) -> None:
    """Serve the page until cancelled."""
    raise NotImplementedError(access, business, line, port)
