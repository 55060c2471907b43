"""Effects in the store: once per tool call, staff told of them at the same moment or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable

from livekit.agents import RunContext

from thirdring.errors import StoreError, ToolRefused
from thirdring.state import CallState
from thirdring.store import Connection
from thirdring.store.effects import once
from thirdring.store.notifications import Notice, add_notices, most_told
from tools.guard import effect_key

__all__ = ["keep", "tell"]

logger = logging.getLogger(__name__)

_MOST_NOTICES = 5
"""Of one call for one address: nobody's phone rings all evening because somebody else's has."""


async def keep(ctx: RunContext[CallState], work: Callable[[Connection], str], *, sorry: str) -> str:
    """Run `work` in one transaction and return its result; the same tool call gets it again.

    Args:
        sorry: What the model hears when the store cannot be used.

    Raises:
        ToolRefused: The store cannot be used, or `work` says no; nothing is kept.
    """
    state = ctx.userdata
    try:
        return await once(
            state.store,
            key=effect_key(ctx),
            business=state.business.slug,
            call_id=state.leg.call_id,
            tool=ctx.function_call.name,
            now=state.clock.now(),
            work=work,
        )
    except StoreError as error:
        logger.warning("call %s: nothing was kept: %s", state.leg.call_id, error)
        raise ToolRefused(sorry) from error


def tell(connection: Connection, notice: Notice) -> None:
    """Note what staff are told as part of a transaction.

    Raises:
        ToolRefused: They have been told enough in this call.
    """
    if notice.targets and most_told(connection, notice.call_id) >= _MOST_NOTICES:
        raise ToolRefused(
            "Staff have been told of several things in this call already, and nothing more is sent."
        )
    add_notices(connection, [notice])
