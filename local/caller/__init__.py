"""A packet-exact SIP caller on raw UDP, in a process of its own."""

from __future__ import annotations

from local.caller.call import LiveCall, open_call
from local.caller.commentary import CallEvent
from local.caller.errors import CallerError, CallNotAsPlanned
from local.caller.measure import Measures
from local.caller.placing import CallResult, place_call
from local.caller.script import Script, load_script

__all__ = [
    "CallEvent",
    "CallNotAsPlanned",
    "CallResult",
    "CallerError",
    "LiveCall",
    "Measures",
    "Script",
    "load_script",
    "open_call",
    "place_call",
]
