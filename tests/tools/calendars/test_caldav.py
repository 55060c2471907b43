"""A calendar on a real CalDAV server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import icalendar
import pytest
from pydantic import SecretStr

from tests.peers import raw_server
from tests.peers.caldav_server import CalDavServer
from thirdring.errors import CalendarError
from thirdring.guarded_http import GuardedClient
from thirdring.outside_settings import CalDavSettings
from thirdring.store.agenda import Span
from tools.calendars.caldav import CalDavCalendar
from tools.calendars.calendar import Entry, entry_id

NEW_YORK = ZoneInfo("America/New_York")
ENTRY = Entry(
    id=entry_id("call-1", "roof"),
    title="Call about the roof; grün, ok",
    starts_at=datetime(2026, 11, 23, 14, tzinfo=NEW_YORK),
    ends_at=datetime(2026, 11, 23, 14, 30, tzinfo=NEW_YORK),
    notes="With: Ada Byron\nPhone: +12025550199",
)


def day(number: int, *, month: int = 11) -> Span:
    """Return a day of 2026 in New York."""
    start = datetime(2026, month, number, tzinfo=NEW_YORK)
    return Span(start, start + timedelta(days=1))


def hours(spans: list[Span]) -> list[str]:
    """Return spans as New York sees them."""
    local = [(s.starts_at.astimezone(NEW_YORK), s.ends_at.astimezone(NEW_YORK)) for s in spans]
    return [f"{start:%d %H:%M} {end:%d %H:%M}" for start, end in sorted(local)]


@pytest.fixture
def calendar(server: CalDavServer, client: GuardedClient) -> CalDavCalendar:
    return CalDavCalendar(client, server.settings, NEW_YORK)


async def test_an_entry_stands_in_the_calendar(
    calendar: CalDavCalendar, server: CalDavServer
) -> None:
    """Another client reads it, and its time is not free any more."""
    await calendar.add(ENTRY)
    (text,) = server.entries()
    (event,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert (str(event["SUMMARY"]), str(event["DESCRIPTION"])) == (ENTRY.title, ENTRY.notes)
    assert (event.decoded("DTSTART"), event.decoded("DTEND")) == (ENTRY.starts_at, ENTRY.ends_at)
    assert str(event["UID"]) == ENTRY.id
    assert hours(await calendar.busy(day(23))) == ["23 14:00 23 14:30"]
    assert await calendar.busy(day(24)) == []


async def test_a_retry_adds_nothing(calendar: CalDavCalendar, server: CalDavServer) -> None:
    """However often, and at once: there is one event, as it was the first time."""
    await calendar.add(ENTRY)
    before = server.entries()
    await asyncio.gather(*(calendar.add(ENTRY) for _ in range(5)))
    assert server.entries() == before


async def test_an_entry_is_removed(calendar: CalDavCalendar, server: CalDavServer) -> None:
    """Once or twice."""
    await calendar.add(ENTRY)
    await calendar.remove(ENTRY.id)
    await calendar.remove(ENTRY.id)
    assert server.entries() == []


async def test_what_its_owner_has_changed_is_not_removed(
    calendar: CalDavCalendar, server: CalDavServer
) -> None:
    """It is theirs by then."""
    await calendar.add(ENTRY)
    (text,) = server.entries()
    server.replace(ENTRY.id, text.replace("Call about", "Visit about"))
    await calendar.remove(ENTRY.id)
    assert len(server.entries()) == 1


@pytest.mark.parametrize(
    ("event", "date", "busy"),
    [
        ("DTSTART:20261123T190000Z\nDTEND:20261123T200000Z", 23, ["23 14:00 23 15:00"]),
        ("DTSTART:20261123T190000Z\nDURATION:PT45M", 23, ["23 14:00 23 14:45"]),
        ("DTSTART:20261123T140000\nDTEND:20261123T150000", 23, ["23 14:00 23 15:00"]),
        (
            "DTSTART;TZID=Europe/Berlin:20261123T200000\nDTEND;TZID=Europe/Berlin:20261123T210000",
            23,
            ["23 14:00 23 15:00"],
        ),
        ("DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261125", 24, ["23 00:00 25 00:00"]),
        ("DTSTART;VALUE=DATE:20261123", 23, ["23 00:00 24 00:00"]),
        ("DTSTART;VALUE=DATE:20261123", 24, []),
        ("DTSTART:20261123T190000Z\nDTEND:20261123T200000Z\nTRANSP:TRANSPARENT", 23, []),
        ("DTSTART:20261123T190000Z\nDTEND:20261123T200000Z\nSTATUS:CANCELLED", 23, []),
        ("DTSTART:20261124T020000Z\nDTEND:20261124T080000Z", 23, ["23 21:00 24 03:00"]),
    ],
    ids=["utc", "duration", "floating", "zone", "days", "a day", "the day after", "transparent",
         "cancelled", "over midnight"],
)  # fmt: skip
async def test_when_its_owner_is_busy(
    calendar: CalDavCalendar, server: CalDavServer, event: str, date: int, busy: list[str]
) -> None:
    """Every form of a time is one of the owner's day; what is no obstacle is none."""
    server.put("e1", f"BEGIN:VEVENT\nUID:e1\nDTSTAMP:20261101T000000Z\n{event}\nEND:VEVENT")
    assert hours(await calendar.busy(day(date))) == busy


async def test_repeated_events_keep_their_local_time(
    calendar: CalDavCalendar, server: CalDavServer
) -> None:
    """Every weekday at nine, summer and winter, but for one that was left out and one moved."""
    server.put(
        "standup",
        """
        BEGIN:VEVENT
        UID:standup
        DTSTAMP:20261001T000000Z
        DTSTART;TZID=America/New_York:20261026T090000
        DTEND;TZID=America/New_York:20261026T093000
        RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR
        EXDATE;TZID=America/New_York:20261124T090000
        END:VEVENT
        BEGIN:VEVENT
        UID:standup
        DTSTAMP:20261001T000000Z
        RECURRENCE-ID;TZID=America/New_York:20261125T090000
        DTSTART;TZID=America/New_York:20261125T110000
        DTEND;TZID=America/New_York:20261125T113000
        END:VEVENT
        """,
    )
    assert hours(await calendar.busy(day(30, month=10))) == ["30 09:00 30 09:30"]
    assert hours(await calendar.busy(day(2))) == ["02 09:00 02 09:30"]
    assert await calendar.busy(day(24)) == []
    assert hours(await calendar.busy(day(25))) == ["25 11:00 25 11:30"]
    assert await calendar.busy(day(28)) == []


async def test_a_wrong_password_is_an_error(server: CalDavServer, client: GuardedClient) -> None:
    """It names the status, and no secret."""
    wrong = server.settings.model_copy(update={"password": SecretStr("guess")})
    with pytest.raises(CalendarError, match="answered 401") as refused:
        await CalDavCalendar(client, wrong, NEW_YORK).busy(day(23))
    assert "guess" not in str(refused.value)


async def test_a_server_that_is_away_is_an_error(client: GuardedClient) -> None:
    """Its host is named, and not the path, which may name a person."""
    settings = CalDavSettings(
        url="http://127.0.0.1:9/robin/calendar/", username="robin", password=SecretStr("x")
    )
    with pytest.raises(CalendarError, match=r"127\.0\.0\.1: ConnectError") as refused:
        await CalDavCalendar(client, settings, NEW_YORK).add(ENTRY)
    assert "robin" not in str(refused.value)


async def test_nothing_inside_is_reached() -> None:
    """The rules for webhooks are those for calendars."""
    limits = httpx.Limits(max_connections=1)
    settings = CalDavSettings(
        url="https://169.254.169.254/", username="robin", password=SecretStr("x")
    )
    tls = httpx.create_ssl_context()
    async with GuardedClient(limits=limits, timeout=5, tls=tls) as client:
        with pytest.raises(CalendarError, match="the calendar's URL leads to"):
            await CalDavCalendar(client, settings, NEW_YORK).busy(day(23))


def answer(body: bytes, status: str = "207 Multi-Status") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (answer(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'), "declares a document type"),
        (answer(b"<x"), "cannot be understood"),
        (answer(b"", "302 Found"), "answered 302"),
        (answer(b"x" * (5 * 1024 * 1024)), "answered with too much"),
        (answer(b"", "207 Multi-Status\r\nContent-Encoding: gzip"), "compresses"),
        (
            answer(
                b'<m xmlns="urn:ietf:params:xml:ns:caldav"><calendar-data>BEGIN:VCALENDAR\n'
                b"BEGIN:VEVENT\nDTSTART:never\nEND:VEVENT\nEND:VCALENDAR</calendar-data></m>"
            ),
            "cannot be understood",
        ),
    ],
    ids=["entities", "no xml", "redirect", "too much", "packed", "no date"],
)
async def test_an_odd_answer_is_an_error(client: GuardedClient, said: bytes, what: str) -> None:
    """Not an expanded entity, a followed redirect, or a full memory."""
    async with raw_server.answering(said) as odd:
        url = f"http://127.0.0.1:{odd.port}/"
        settings = CalDavSettings(url=url, username="robin", password=SecretStr("x"))
        with pytest.raises(CalendarError, match=what):
            await CalDavCalendar(client, settings, NEW_YORK).busy(
                Span(datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC))
            )
