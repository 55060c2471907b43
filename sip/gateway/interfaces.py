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

__all__ = ["follow_interfaces", "know_interfaces"]

logger = logging.getLogger(__name__)

_AGAIN: Final = 10.0
# bool handler(const char *ifname, const struct sa *sa, void *arg); true ends the walk.
_OnAddress = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)


async def follow_interfaces() -> None:
    """Tell a running stack of this machine's addresses, and of those that come later (Wi-Fi)."""
    while know_interfaces():  # noqa: ASYNC110 - the system would tell by netlink alone
        await asyncio.sleep(_AGAIN)


def know_interfaces(library: str = _native.__file__) -> bool:
    """Tell a running stack once; return whether this build of it can be told."""
    try:
        core = ctypes.CDLL(library)
        enter, leave = core.re_thread_enter, core.re_thread_leave
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

    # The lock that the stack's loop holds while it works. It never waits for Python within it
    # other than in callbacks, for which ctypes gives up the interpreter lock here.
    enter()
    try:
        walk(_OnAddress(on_address), None)
    finally:
        leave()
    return True
