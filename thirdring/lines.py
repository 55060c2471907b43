"""Which line a call is for: the number dialled decides, metadata may say otherwise."""

from __future__ import annotations

import difflib
import re

from thirdring.calls import Leg, LegKind
from thirdring.errors import ConfigError, LineNotFound, Problem
from thirdring.metadata import Metadata
from thirdring.settings import Business, Line, Settings

__all__ = ["choose", "named"]


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


def named(settings: Settings, text: str | None) -> tuple[Business, Line]:
    """Return the line that somebody typed, the default one for None; spaces and dashes are free.

    Raises:
        ConfigError: No line has that number, or there is no default; names the lines there are.
    """
    wanted = settings.default_line if text is None else re.sub(r"[\s().-]", "", text)
    found = settings.find(wanted) or settings.find(f"+{wanted}")
    if found is None:
        what = "no line has this number" if wanted else "none is named, and there is no default"
        raise ConfigError([Problem("command", 0, 0, "LINE", what, text, _lines(settings, wanted))])
    return found


def _lines(settings: Settings, wanted: str | None) -> str:
    names = {line.number: of.name for of in settings.businesses for line in of.lines}
    close = difflib.get_close_matches(wanted or "", names, n=1, cutoff=0.75)
    all_of_them = ", ".join(f"{number} ({name})" for number, name in names.items())
    hint = f"; did you mean {close[0]}?" if close and len(names) > 1 else ""
    return ("one of " if len(names) > 1 else "") + all_of_them + hint
