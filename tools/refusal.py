"""What every tool has around it: a refusal that the model hears, a time limit, a bounded result."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from livekit.agents import RunContext, StopResponse
from livekit.agents.llm import ToolError

from thirdring.errors import ToolRefused
from thirdring.state import CallState

__all__ = ["guarded"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")

Body = Callable[Concatenate[RunContext[CallState], P], Awaitable[str]]

TIME_LIMIT_SECONDS = 8.0
LONGEST_RESULT = 8 * 1024
_CUT = " [cut: the result was too long]"


def guarded(body: Body[P]) -> Body[P]:
    """Wrap the body of a tool; stands between it and `@function_tool`.

    `ToolRefused` becomes LiveKit's `ToolError`, whose text the model hears. LiveKit itself limits
    neither the time that a tool takes nor the size of its result; a caller waits for the one, and
    the model chokes on the other.
    """

    @wraps(body)
    async def tool(ctx: RunContext[CallState], /, *args: P.args, **kwargs: P.kwargs) -> str:
        name = ctx.function_call.name
        call_id = ctx.userdata.leg.call_id
        try:
            async with asyncio.timeout(TIME_LIMIT_SECONDS):
                return _bounded(await body(ctx, *args, **kwargs))
        except ToolRefused as refusal:
            ctx.userdata.refused.add(ctx.function_call.call_id)
            raise ToolError(_bounded(str(refusal))) from refusal
        except (ToolError, StopResponse):
            raise
        except TimeoutError as error:
            logger.warning("call %s: %s took longer than allowed", call_id, name)
            raise ToolError("That is taking too long right now.") from error
        except Exception as error:
            logger.exception("call %s: %s failed", call_id, name)
            raise ToolError("That does not work right now. Our staff can help.") from error

    return tool


def _bounded(text: str) -> str:
    data = text.encode(errors="replace")
    if len(data) <= LONGEST_RESULT:
        return text
    return data[: LONGEST_RESULT - len(_CUT)].decode(errors="ignore") + _CUT
