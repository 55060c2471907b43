"""What the business remembers of a caller, and forgets when they want it to."""

from __future__ import annotations

import logging

from livekit.agents import RunContext, function_tool

from thirdring.errors import StoreError, ToolRefused
from thirdring.state import CallState
from thirdring.store.memory import CallerFact, CallerMemory, note_facts
from tools.confirming import require_confirmed
from tools.given import words_given
from tools.guard import guarded
from tools.wordings import FORGET, wordings

__all__ = ["forget_caller", "remember_caller"]

logger = logging.getLogger(__name__)

LONGEST_FACT = 200


@function_tool
@guarded(effect=True)
async def remember_caller(ctx: RunContext[CallState], fact: str) -> str:
    """Remember one thing about the caller for their next call, such as a preference of theirs.

    Args:
        fact: One short sentence that says what the caller has told about themselves.
    """
    state = ctx.userdata
    known = CallerFact(
        business=state.business.slug,
        number=_number(state),
        fact=words_given(fact, "the fact", longest=LONGEST_FACT),
        call_id=state.leg.call_id,
        noted_at=state.clock.now(),
    )
    try:
        kept = await state.store.write(lambda connection: note_facts(connection, [known]))
    except StoreError as error:
        raise _unreachable(state, error) from error
    if not kept:
        raise ToolRefused("This caller wants nothing to be remembered. Nothing was kept.")
    return "It will be known at the caller's next call. There is no need to say so."


@function_tool
@guarded(effect=True)
async def forget_caller(ctx: RunContext[CallState]) -> str:
    """Forget all about the caller for good. Only when they ask that nothing be remembered."""
    state = ctx.userdata
    number = _number(state)
    await require_confirmed(ctx, wordings(FORGET, state.business))
    memory = CallerMemory(state.store, state.business.slug)
    try:
        await memory.forget(number, call_id=state.leg.call_id, now=state.clock.now())
    except StoreError as error:
        raise _unreachable(state, error) from error
    return "Everything is forgotten, and nothing will be remembered. Tell the caller so."


def _number(state: CallState) -> str:
    if state.leg.caller is None:
        raise ToolRefused("The caller's number is hidden: nothing is remembered of them anyway.")
    if not state.business.memory.enabled:
        raise ToolRefused("Nothing is remembered of callers here.")
    return state.leg.caller


def _unreachable(state: CallState, error: StoreError) -> ToolRefused:
    logger.warning("call %s: no memory: %s", state.leg.call_id, error)
    return ToolRefused("That cannot be done right now. Go on without it; say so if they asked.")
