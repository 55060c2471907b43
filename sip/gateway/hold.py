"""Lets a call without RTP live while its phone holds it by the address 0.0.0.0.

baresip's RTP timeout knows `a=sendonly` and `a=inactive` and waits. An older PBX (RFC 2543) only
changes the address, sends nothing until it comes back, and would be cut off. baresip's core has
`stream_enable_rtp_timeout` for this; the Python library exports the symbol and has no name for it.
"""

from __future__ import annotations

import ctypes
import logging

from baresip import _native

__all__ = ["expect_media"]

logger = logging.getLogger(__name__)


def expect_media(call_id: str, seconds: int | None, library: str = _native.__file__) -> None:
    """End a call after so long without RTP, counted from now; with None never.

    To be run on the stack's own thread. A call that is over, or a build of the stack that cannot be
    told, changes nothing.
    """
    try:
        core = ctypes.CDLL(library)
        find, audio_of = core.uag_call_find, core.call_audio
        stream_of, enable = core.audio_strm, core.stream_enable_rtp_timeout
    except (OSError, AttributeError) as error:
        logger.warning("a call that is held by the address 0.0.0.0 will be cut off: %s", error)
        return
    find.argtypes, find.restype = (ctypes.c_char_p,), ctypes.c_void_p
    audio_of.argtypes, audio_of.restype = (ctypes.c_void_p,), ctypes.c_void_p
    stream_of.argtypes, stream_of.restype = (ctypes.c_void_p,), ctypes.c_void_p
    enable.argtypes, enable.restype = (ctypes.c_void_p, ctypes.c_uint32), None
    call = find(call_id.encode("utf-8", "surrogateescape"))
    if call is not None:
        enable(stream_of(audio_of(call)), 0 if seconds is None else 1000 * seconds)
