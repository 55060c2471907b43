"""Callers who want to be called back: when, at which number, about what."""

from __future__ import annotations

import re

from livekit.agents import RunContext, function_tool
from pydantic import AwareDatetime, BaseModel, ConfigDict

from thirdring.calls import PhoneNumber
from thirdring.errors import ToolRefused
from thirdring.state import CallState
from thirdring.store import Connection
from thirdring.store.callbacks import CallbackRequest, add_callback
from tools.confirming import Critical, Moment, require_confirmed
from tools.given import critical_of, name_if_given, number_of, words_given
from tools.guard import effect_key, guarded
from tools.keeping import keep, tell
from tools.notifications import notice
from tools.spoken import spoken_moment
from tools.times import moment_meant
from tools.wordings import CALL_BACK, wordings

__all__ = ["Callback", "request_callback"]

LONGEST_WHEN, LONGEST_REASON = 100, 300

_FIELD = "callback"
_A_TIME = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|noon|midday|midnight"
    r"|o'clock|hour|yesterday)\b",
    re.IGNORECASE,
)


class Callback(BaseModel):
    """That a caller wants to be called back; a workflow's outcome may have it as `callback`.

    Attributes:
        when: In the caller's words.
        at: None when those name no time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: str
    at: AwareDatetime | None = None
    number: PhoneNumber
    name: str | None = None
    reason: str | None = None


@function_tool
@guarded(effect=True)
async def request_callback(
    ctx: RunContext[CallState], when: str, phone: str = "", name: str = "", reason: str = ""
) -> str:
    """Note that the caller wants to be called back. Read number and time back to them first.

    Args:
        when: When they want it, in their own words, such as "tomorrow at two" or "any time".
        phone: The number to call. Leave it empty to use the one they are calling from.
        name: The caller's name. Leave it empty when they have not said it.
        reason: What it is about, in a few words.
    """
    state = ctx.userdata
    number = number_of(phone, state)
    if number is None:
        raise ToolRefused("Their number is hidden. Ask at which number they want to be called.")
    words = words_given(when, "the time", longest=LONGEST_WHEN)
    wanted = Callback(
        when=words,
        at=moment_meant(words, state.clock.now(), state.business)
        if _A_TIME.search(words)
        else None,
        number=number,
        name=name_if_given(name),
        reason=words_given(reason, "the reason", longest=LONGEST_REASON)
        if reason.strip()
        else None,
    )
    asked = wordings(CALL_BACK, state.business, f", {words}")
    await require_confirmed(ctx, asked, *_critical(wanted, state))

    def work(connection: Connection) -> str:
        identity = add_callback(connection, _request(wanted, ctx))
        title, body = _in_words(wanted)
        key = f"callback {identity}"
        tell(connection, notice(state, title=title, body=body, urgent=False, key=key))
        return f"Noted: {_time_of(wanted)}. Tell the caller that they will be called back."

    done = await keep(
        ctx,
        work,
        sorry="The request cannot be noted right now. Tell the caller so, and ask them to call "
        "again later.",
    )
    sheet = state.outcome
    if sheet.value is not None and _FIELD in type(sheet.value).model_fields:
        sheet.fill(**{_FIELD: wanted.model_dump(mode="json")})
    return done


def _critical(wanted: Callback, state: CallState) -> list[Critical]:
    moment = [] if wanted.at is None else [Moment(wanted.at)]
    return [*critical_of(state, name=wanted.name, number=wanted.number), *moment]


def _request(wanted: Callback, ctx: RunContext[CallState]) -> CallbackRequest:
    state = ctx.userdata
    return CallbackRequest(
        business=state.business.slug,
        key=effect_key(ctx),
        number=wanted.number,
        name=wanted.name,
        wanted=wanted.when,
        wanted_at=wanted.at,
        reason=wanted.reason,
        call_id=state.leg.call_id,
        asked_at=state.clock.now(),
    )


def _time_of(wanted: Callback) -> str:
    return wanted.when if wanted.at is None else spoken_moment(wanted.at)


def _in_words(wanted: Callback) -> tuple[str, str]:
    about = f"\nAbout: {wanted.reason}" if wanted.reason else ""
    who = f"{wanted.name}, {wanted.number}" if wanted.name else wanted.number
    return f"Call back {wanted.name or wanted.number}", f"{who}, {_time_of(wanted)}.{about}"
