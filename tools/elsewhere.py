"""Effects in another system: not without a yes, and never twice in a call, whatever is repeated."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from livekit.agents import RunContext
from pydantic import JsonValue

from thirdring.errors import PhoneError, StoreError, ToolRefused
from thirdring.state import CallState
from thirdring.store.effects import once
from tools.critical_arguments import confirmed
from tools.guard import effect_key

__all__ = ["NotDone", "loggable", "once_elsewhere"]

logger = logging.getLogger(__name__)

_UNKNOWN: Final = (
    "It is not known whether this was done. Do not try again and do not say that it was done: say "
    "that our staff will look into it, and offer to take a message."
)


class NotDone(Exception):
    """Nothing was done there, so that it may be tried again; the message is for the model."""


@dataclass
class _Attempt:
    """One effect of a call.

    Attributes:
        key: Of the tool call that tried it first; the same for each try.
        result: What came of it; None while that is not known.
        begun: Something may have been done.
        refusal: What was heard there; not even a refusal says that nothing was done.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    key: str | None = None
    result: str | None = None
    begun: bool = False
    refusal: str = _UNKNOWN


@dataclass
class _Attempts:
    """Those of one call, by tool and arguments."""

    known: dict[str, _Attempt] = field(default_factory=dict)


@asynccontextmanager
async def _none_yet() -> AsyncIterator[_Attempts]:
    yield _Attempts()


def loggable(error: Exception) -> str:
    """Return what a log may say of an error: in the words of others there may be secrets."""
    return str(error) if isinstance(error, PhoneError) else type(error).__name__


async def once_elsewhere(
    ctx: RunContext[CallState],
    arguments: Mapping[str, JsonValue],
    send: Callable[[str], Awaitable[str]],
) -> str:
    """Return what `send` returned for this tool and these arguments, once the caller has agreed.

    Args:
        send: Gets the key of the effect. It raises `NotDone` when nothing was done; after any other
            exception that is not known, and nothing is sent again. The model hears why from a
            `ToolRefused`, each time that it asks.

    Raises:
        ToolRefused: They have not agreed, it was not done, or it is not known whether it was.
    """
    state, tool = ctx.userdata, ctx.function_call.name
    attempts = await state.port(_Attempts, _none_yet)
    what = json.dumps([tool, arguments], sort_keys=True, default=str)
    attempt = attempts.known.setdefault(what, _Attempt())
    async with attempt.lock:
        if attempt.result is not None:
            return attempt.result
        if attempt.begun:
            raise ToolRefused(attempt.refusal)
        await confirmed(ctx, arguments)
        attempt.begun, key = True, attempt.key or effect_key(ctx)
        attempt.key = key
        try:
            attempt.result = await send(key)
        except NotDone as error:
            attempt.begun = False
            raise ToolRefused(str(error)) from error
        except ToolRefused as error:
            attempt.refusal = str(error)
            raise
        except Exception as error:
            logger.warning("call %s: %s: %s", state.leg.call_id, tool, loggable(error))
            raise ToolRefused(_UNKNOWN) from error
    await _note(state, key, tool, attempt.result)
    return attempt.result


async def _note(state: CallState, key: str, tool: str, result: str) -> None:
    try:
        await once(
            state.store,
            key=key,
            business=state.business.slug,
            call_id=state.leg.call_id,
            tool=tool,
            now=state.clock.now(),
            work=lambda _connection: result,
        )
    except StoreError as error:
        # It is done all the same, and the journal has it.
        logger.warning("call %s: %s is done and not noted: %s", state.leg.call_id, tool, error)
