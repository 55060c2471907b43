"""When the business is open."""

from __future__ import annotations

from datetime import timedelta

from livekit.agents import RunContext, function_tool

from thirdring.hours import holidays_between
from thirdring.state import CallState
from tools.guard import guarded
from tools.spoken import spoken_holiday, spoken_hours
from tools.times import here

__all__ = ["opening_hours"]

_AHEAD = timedelta(days=14)


@function_tool
@guarded
async def opening_hours(ctx: RunContext[CallState]) -> str:
    """Get the opening hours of every day of the week, and the holidays that are near."""
    state = ctx.userdata
    today = here(state).date()
    near = holidays_between(state.business, today, today + _AHEAD)
    return " ".join([spoken_hours(state.business), *map(spoken_holiday, near)])
