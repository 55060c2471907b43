"""Entries, turns and businesses that tests are about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_network
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from thirdring.calls import Ending, EndReason, Leg, LegKind, Role, ToolUse, Turn
from thirdring.journal import Ended, Entry, Opened, ToolBegun, ToolUsed, TurnSpoken
from thirdring.settings import Business, Line, OpeningHours, Settings, WebhookEndpoint, Weekday

START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
"""A Friday, 10 AM in New York."""

SECRET = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
LINE = Line(number="+12025550142", workflow="patient_questions")
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def at(seconds: float) -> datetime:
    """Return a time after the start of the call."""
    return START + timedelta(seconds=seconds)


def opened(call_id: str = "call-1", *, business: str | None = "riverside_clinic") -> Opened:
    """Return the first entry of a phone call."""
    leg = Leg(
        call_id=call_id,
        kind=LegKind.SIP,
        identity="sip_+12025550199",
        caller="+12025550199",
        called="+12025550142",
    )
    return Opened(
        at=at(0),
        leg=leg,
        business=business,
        line="+12025550142",
        workflow="patient_questions",
        model="gpt-realtime-2.1",
        room="call-room",
        job="AJ_1",
    )


def spoken(
    number: int, *, role: Role = Role.CALLER, text: str = "Are you open today?"
) -> TurnSpoken:
    """Return turn `number`, a second long."""
    turn = Turn(
        id=f"t{number}", role=role, text=text, started_at=at(number), ended_at=at(number + 1)
    )
    return TurnSpoken(at=turn.ended_at, turn=turn)


def used(number: int) -> ToolUsed:
    """Return the use of a tool."""
    use = ToolUse(
        id=f"u{number}",
        name="opening_hours",
        arguments={},
        result="Closed all week.",
        started_at=at(number),
        ended_at=at(number + 0.1),
    )
    return ToolUsed(at=use.ended_at, use=use)


def ended(seconds: float, reason: EndReason = EndReason.CALLER_HUNG_UP) -> Ended:
    """Return the ending at a time after the start."""
    return Ended(at=at(seconds), ending=Ending(reason=reason, at=at(seconds)))


def plain(entry: Entry) -> Entry:
    """Return an entry of a journal as it was before it was written: no offsets, no writer."""
    stamps: dict[str, object] = {"offset": None}
    spans = {"started_offset": None, "ended_offset": None}
    match entry:
        case Opened():
            stamps |= {"monotonic": None, "boot": None, "writer": None}
        case TurnSpoken(turn=turn):
            stamps["turn"] = turn.model_copy(update=spans)
        case ToolBegun(use=use) | ToolUsed(use=use):
            stamps["use"] = use.model_copy(update=spans)
        case Ended(ending=ending):
            stamps["ending"] = ending.model_copy(update={"offset": None})
    return entry.model_copy(update=stamps)


def business(*, url: str | None = None, slug: str = "riverside_clinic") -> Business:
    """Return a clinic in New York, open Monday to Friday 9 AM to 5 PM."""
    hours = (OpeningHours(opens=time(9), closes=time(17)),)
    return Business(
        slug=slug,
        name="Riverside Clinic",
        time_zone=ZoneInfo("America/New_York"),
        hours=dict.fromkeys(list(Weekday)[:5], hours),
        webhook=None if url is None else WebhookEndpoint(url=url, secret=SECRET),
        lines=(LINE,),
    )


def settings(*businesses: Business) -> Settings:
    """Return settings that let webhooks reach receivers on this machine."""
    return Settings(businesses=businesses, allowed_receivers=LOOPBACK)


@dataclass
class SetClock:
    """Tells the time that it was set to."""

    moment: datetime = START

    def now(self) -> datetime:
        """Return that time."""
        return self.moment
