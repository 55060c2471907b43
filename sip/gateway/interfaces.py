"""Lets the SIP stack send and take media at every address of this machine.

A softphone that dials 127.0.0.1 names this machine's own network address for its audio, unless it
was told otherwise. baresip answers such an INVITE 500: pinned to one interface, it knows one local
address, and its configuration takes one or all, "all" without loopback. Its core has
`net_add_address_ifname` for this; the Python library exports the symbol and has no name for it.
Where SIP is listened for does not change by it, and RTP sockets take every address anyway.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
from typing import Final

from baresip import _native

from sip.gateway.core import Core

__all__ = ["follow_interfaces", "know_interfaces"]

logger = logging.getLogger(__name__)

_AGAIN: Final = 10.0
# bool handler(const char *ifname, const struct sa *sa, void *arg); true ends the walk.
_OnAddress = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)


async def follow_interfaces(core: Core) -> None:
    """Tell a running stack of this machine's addresses, and of those that come later (Wi-Fi)."""
    can = True

    def know() -> None:
        nonlocal can
        can = know_interfaces()

    while can:
        await core.run(know)
        await asyncio.sleep(_AGAIN)


def know_interfaces(library: str = _native.__file__) -> bool:
    """Tell a running stack once, on its own thread; return whether this build can be told."""
    try:
        core = ctypes.CDLL(library)
        walk, add, network = core.net_if_apply, core.net_add_address_ifname, core.baresip_network
    except (OSError, AttributeError) as error:
        logger.warning(
            "gateway takes calls only from phones whose audio is at the address it listens on; "
            "tell the phone so (baresip: `-n 127.0.0.1`): %s",
            error,
        )
        return False
    network.restype = ctypes.c_void_p
    add.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    walk.argtypes = (_OnAddress, ctypes.c_void_p)

    def on_address(name: bytes, address: int, _: int | None) -> bool:
        add(network(), address, name)
        return False

    walk(_OnAddress(on_address), None)
    return True
