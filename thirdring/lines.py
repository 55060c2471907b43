"""Which line a call is for: the number dialled decides, metadata may say otherwise."""

from __future__ import annotations

from thirdring.calls import Leg, LegKind
from thirdring.errors import LineNotFound
from thirdring.metadata import Metadata
from thirdring.settings import Business, Line, Settings

__all__ = ["choose"]


def choose(settings: Settings, leg: Leg, metadata: Metadata) -> tuple[Business, Line]:
    """Return the business and line that answer this leg.

    Raises:
        LineNotFound: No line has the number; names the field that gave it.
    """
    number, field = settings.default_line, "default_line"
    if metadata.line is not None:
        number, field = metadata.line, "metadata.line"
    elif leg.kind is LegKind.SIP:
        number, field = leg.called, "sip.trunkPhoneNumber"
    found = settings.find(number)
    if found is None:
        raise LineNotFound(field, number)
    return found
