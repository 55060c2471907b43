"""Answers a call 404, as the SIP stack does itself for numbers that it has never heard of.

The Python library can only decline a call, which tells the caller that somebody is busy; and it
cannot make the stack forget a number. baresip's core has `ua_hangup` with a status for this; the
library exports the symbol and has no name for it.
"""

from __future__ import annotations

import ctypes
import logging

from baresip import _native

__all__ = ["answer_not_found"]

logger = logging.getLogger(__name__)

_STATUS = 404


def answer_not_found(call_id: str, library: str = _native.__file__) -> bool:
    """Refuse a call that rings; return whether the stack could be told.

    To be run on the stack's own thread. A call that is over changes nothing.
    """
    try:
        core = ctypes.CDLL(library)
        find, agent_of, hang_up = core.uag_call_find, core.call_get_ua, core.ua_hangup
    except (OSError, AttributeError) as error:
        logger.warning("a number that was taken out of the file is answered 486: %s", error)
        return False
    find.argtypes, find.restype = (ctypes.c_char_p,), ctypes.c_void_p
    agent_of.argtypes, agent_of.restype = (ctypes.c_void_p,), ctypes.c_void_p
    hang_up.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint16, ctypes.c_char_p)
    hang_up.restype = None
    call = find(call_id.encode("utf-8", "surrogateescape"))
    if call is not None:
        hang_up(agent_of(call), call, _STATUS, b"Not Found")
    return True
