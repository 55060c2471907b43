"""Tables in restaurants: what is wished for, and what the restaurant says to it.

The wish is an errand: another call carries it out. What the restaurant has said counts only as far
as it stands in the transcript.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, time
from typing import ClassVar, Final, Literal, get_args

from livekit.agents import RunContext, function_tool
from pydantic import AwareDatetime, BaseModel, ConfigDict

from thirdring.calls import PhoneNumber
from thirdring.errors import StoreError, ToolRefused
from thirdring.outcome import Outcome
from thirdring.settings import OpeningHours
from thirdring.state import CallState
from thirdring.store import Connection
from thirdring.store.errands import Errand, Wish, add, settle
from tools.confirming import Critical, Moment, Name, Phone, Words, require_confirmed
from tools.days import day_in, day_meant
from tools.given import critical_of, number_of, words_given
from tools.guard import effect_key, guarded
from tools.keeping import keep
from tools.people import name_given, number_given
from tools.plain_words import plain_words
from tools.quotes import CHANGED, quoted_turn, require_reference_said, said_since
from tools.spoken import spoken_moment
from tools.spoken_dates import day_and_month, is_time, times_of
from tools.times import here, moment_on, time_meant

__all__ = ["Answer", "Reservation", "ReservationRequest", "note_answer", "request_reservation"]

KIND: Final = "concierge"
LARGEST_PARTY: Final = 30
_LONGEST_WISH: Final = 300
# Seven is the evening's, where a restaurant is concerned, and eleven the morning's.
_MEALS: Final = (OpeningHours(opens=time(11), closes=time(22, 59)),)

Answer = Literal["confirmed", "declined", "alternative"]

_SURE = re.compile(
    r"\b(?:i(?: can)? confirm|confirmed|booked|reserved|all set|see you|look(?:ing)? forward"
    r"|that works|works for us|down for)\b",
    re.IGNORECASE,
)
_YES = re.compile(
    r"\b(?:yes|yeah|yep|sure|no problem|of course|certainly|absolutely|fine|okay|ok|got it)\b",
    re.IGNORECASE,
)
_NO = re.compile(
    r"\b(?:not|no tables?|nothing|full|fully|unfortunately|afraid|can['\u2019]?t|cannot"
    r"|(?:don|couldn|won|isn|aren)['\u2019]?t|unable|closed|sorry|sold out|unavailable|only|instead"
    r"|let me|one (?:moment|second)|just a|hold on|if|whether)\b",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\b(?:actually|unfortunately|afraid|sorry|mistake|after all|fully? booked"
    r"|we(?:['\u2019]re| are) (?:full|closed)|no longer"
    r"|not (?:possible|available|free)|cancel\w*)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(r"[^.!?]*\?")


class ReservationRequest(BaseModel):
    """What a restaurant is to be called for.

    Attributes:
        restaurant_phone: None when it is still to be found out.
        starts_at: In the time zone of the business.
        when: The same as it is said.
        preferences: Empty for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    restaurant: str
    restaurant_phone: PhoneNumber | None
    starts_at: AwareDatetime
    when: str
    party_size: int
    guest_name: str
    contact_phone: PhoneNumber | None
    preferences: str


class Reservation(Outcome):
    """What became of a wish for a table.

    Attributes:
        errand: The wish, by its id.
        status: `requested` until a restaurant has been asked.
        reference: That of the restaurant.
        alternative: The time that the restaurant offers in place of the one that was asked for.
        quote: What the restaurant said, word for word as it was written down.
    """

    needed: ClassVar[tuple[str, ...]] = ("errand", "status")

    errand: str | None = None
    status: Literal["requested", "confirmed", "declined", "alternative"] | None = None
    restaurant: str | None = None
    when: str | None = None
    party_size: int | None = None
    guest_name: str | None = None
    reference: str | None = None
    alternative: str | None = None
    quote: str | None = None

    def missing(self) -> tuple[str, ...]:
        """Return what is missing: a restaurant's answer needs its words."""
        answered = self.status in get_args(Answer)
        return (*super().missing(), *(["quote"] if answered and not self.quote else []))


@function_tool
@guarded(effect=True)
async def request_reservation(
    ctx: RunContext[CallState],
    restaurant: str,
    when: str,
    people: str,
    guest_name: str,
    *,
    contact_phone: str = "",
    restaurant_phone: str = "",
    preferences: str = "",
) -> str:
    """Have a restaurant called for a table. Read everything back to the user first.

    Args:
        restaurant: Its name.
        when: The day and the time that the user wants, such as "2026-11-24 19:30" or "Friday at
            half past seven".
        people: How many will come, such as 4.
        guest_name: The name for the reservation.
        contact_phone: A number to reach the user at. Leave it empty to use the one they call from.
        restaurant_phone: The restaurant's number, if the user knows it.
        preferences: Anything else that they want, such as a quiet table or an allergy.
    """
    state = ctx.userdata
    request = ReservationRequest(
        restaurant=name_given(restaurant, what="name of the restaurant"),
        restaurant_phone=number_given(restaurant_phone, state) if restaurant_phone else None,
        starts_at=(starts_at := _moment(state, when)),
        when=spoken_moment(starts_at),
        party_size=_party(people),
        guest_name=name_given(guest_name, what="name for the reservation"),
        contact_phone=number_of(contact_phone, state),
        preferences=words_given(preferences, "the wishes", longest=_LONGEST_WISH)
        if preferences.strip()
        else "",
    )
    await require_confirmed(ctx, _in_words(request), *_critical(request, state))
    wish = Wish(
        business=state.business.slug,
        kind=KIND,
        number=request.restaurant_phone,
        details=request.model_dump(mode="json"),
        call_id=state.leg.call_id,
        key=effect_key(ctx),
    )

    def work(connection: Connection) -> str:
        errand = add(connection, wish, now=state.clock.now())
        return json.dumps(
            {"errand": errand.id, "restaurant": request.restaurant, "spoken": request.when},
            ensure_ascii=False,
        )

    result = await keep(
        ctx,
        work,
        sorry="The wish cannot be kept right now. Say so, and ask the user to call again later.",
    )
    state.outcome.fill(errand=json.loads(result)["errand"], status="requested", **_shared(request))
    return result


@function_tool
@guarded(effect=True)
async def note_answer(
    ctx: RunContext[CallState],
    answer: str,
    quote: str,
    reference: str = "",
    alternative: str = "",
) -> str:
    """Note what the restaurant has answered. Call this as soon as they have.

    Args:
        answer: One of confirmed, declined and alternative (they offer another time).
        quote: The words of the restaurant that say so, exactly as they were spoken.
        reference: The restaurant's number or code of the reservation, if they said one.
        alternative: The other time that they offer, in their words. Empty unless they offer one.
    """
    state = ctx.userdata
    errand = state.errand
    if errand is None:
        raise ToolRefused("This call is about no reservation that was asked for.")
    request = ReservationRequest.model_validate(errand.details)
    turn = await quoted_turn(state, quote)
    if answer not in get_args(Answer):
        raise ToolRefused("The answer is one of confirmed, declined and alternative.")
    if answer == "confirmed":
        _require_confirmation(turn.text, request)
        if any(_TAKEN_BACK.search(_ASKED.sub(" ", text)) for text in said_since(state, turn)):
            raise ToolRefused(CHANGED)
    if answer == "alternative" and (not alternative or not list(times_of(turn.text))):
        raise ToolRefused("They have named no other time. Ask which one they offer.")
    if answer == "alternative":
        await quoted_turn(state, alternative)
    if reference:
        require_reference_said(state, reference)
    noted = state.outcome.fill(
        errand=errand.id,
        status=answer,
        reference=reference or None,
        alternative=alternative or None,
        quote=turn.text,
        **_shared(request),
    )
    await _settle(state, errand, answer, noted)
    return json.dumps({"noted": answer, "next": "Thank them, say goodbye, and end the call."})


async def _settle(state: CallState, errand: Errand, answer: str, noted: Outcome) -> None:
    result = noted.model_dump(mode="json", exclude_none=True)
    try:
        await settle(state.store, errand, state=answer, result=result, now=state.clock.now())
    except StoreError as error:
        # The record of this call says it too.
        raise ToolRefused("It could not be noted. Thank them and end the call.") from error


def _require_confirmation(text: str, request: ReservationRequest) -> None:
    """Return when these words can only mean yes, to the time and the day that were asked for."""
    # "Sure, for how many?" has agreed to nothing yet; "You are all set. Anything else?" has.
    stated = _ASKED.sub(" ", text)
    agreed = _SURE.search(stated) or (stated == text and _YES.search(text))
    if _NO.search(stated) or not agreed:
        raise ToolRefused("These words do not confirm it. Ask whether the table is reserved.")
    times = list(times_of(text))
    if times and not any(is_time(time, request.starts_at) for time in times):
        raise ToolRefused(f"They named another time than {request.when}. Ask which one it is.")
    days = day_and_month(plain_words(text))
    if days and (request.starts_at.day, request.starts_at.month) not in days:
        raise ToolRefused(f"They named another day than {request.when}. Ask which one it is.")


def _moment(state: CallState, when: str) -> datetime:
    now = here(state)
    _, clock = day_in(when, now.date())
    wanted = day_meant(when, now.date())
    moment = moment_on(wanted, time_meant(clock, _MEALS), state.business)
    if moment <= now:
        raise ToolRefused(f"{spoken_moment(moment)} has passed. Ask the user for another time.")
    return moment


def _party(people: str) -> int:
    numbers = [int(word) for word in plain_words(people) if word.isascii() and word.isdecimal()]
    if len(numbers) != 1 or not 1 <= numbers[0] <= LARGEST_PARTY:
        raise ToolRefused(f"Ask for how many people: 1 to {LARGEST_PARTY}.")
    return numbers[0]


def _in_words(request: ReservationRequest) -> str:
    people = "1 person" if request.party_size == 1 else f"{request.party_size} people"
    wishes = f", with these wishes: {request.preferences}" if request.preferences else ""
    return (
        f"a table at {request.restaurant} for {people} on {request.when} under the name of "
        f"{request.guest_name}{wishes}"
    )


def _critical(request: ReservationRequest, state: CallState) -> list[Critical]:
    critical: list[Critical] = [
        Name(request.restaurant),
        Words(str(request.party_size)),
        Moment(request.starts_at),
        Name(request.guest_name),
    ]
    critical += critical_of(state, number=request.contact_phone)
    if request.restaurant_phone:
        critical.append(Phone(request.restaurant_phone))
    return critical


def _shared(request: ReservationRequest) -> dict[str, str | int]:
    return {
        "restaurant": request.restaurant,
        "when": request.when,
        "party_size": request.party_size,
        "guest_name": request.guest_name,
    }
