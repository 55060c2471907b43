"""A Google calendar, as far as its discovery document says what it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from tests.peers import raw_server
from tests.peers.google_server import GoogleServer, google_server
from tests.samples import SetClock
from thirdring.errors import CalendarError
from thirdring.guarded_http import GuardedClient
from thirdring.outside_settings import GoogleCalendarSettings
from thirdring.store.agenda import Span
from tools.calendars.calendar import Entry, entry_id
from tools.calendars.google import GoogleCalendar

START = datetime(2026, 11, 23, 19, tzinfo=UTC)
ENTRY = Entry(
    id=entry_id("call-1", "roof"),
    title="Call about the roof",
    starts_at=START,
    ends_at=START + timedelta(minutes=30),
    notes="With: <b>Ada</b>",
)
DAY = Span(START - timedelta(hours=12), START + timedelta(hours=12))


@pytest.fixture
async def google() -> AsyncIterator[GoogleServer]:
    async with google_server() as running:
        yield running


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def calendar(google: GoogleServer, client: GuardedClient, clock: SetClock) -> GoogleCalendar:
    return GoogleCalendar(client, google.settings, clock, api=google.api)


async def test_an_entry_is_an_event(calendar: GoogleCalendar, google: GoogleServer) -> None:
    """Under an id of ours; words of a caller are no markup there."""
    await calendar.add(ENTRY)
    event = google.events[ENTRY.id]
    assert event["summary"] == "Call about the roof"
    assert event["description"] == "With: &lt;b&gt;Ada&lt;/b&gt;"
    assert event["start"] == {"dateTime": "2026-11-23T19:00:00Z"}
    assert await calendar.busy(DAY) == [Span(ENTRY.starts_at, ENTRY.ends_at)]


async def test_a_retry_adds_nothing(calendar: GoogleCalendar, google: GoogleServer) -> None:
    """However often, and at once."""
    await calendar.add(ENTRY)
    await asyncio.gather(*(calendar.add(ENTRY) for _ in range(5)))
    assert len(google.events) == 1


async def test_an_entry_is_removed(calendar: GoogleCalendar, google: GoogleServer) -> None:
    """Once or twice."""
    await calendar.add(ENTRY)
    await calendar.remove(ENTRY.id)
    await calendar.remove(ENTRY.id)
    assert google.events == {}
    assert await calendar.busy(DAY) == []


async def test_a_token_serves_until_shortly_before_its_end(
    calendar: GoogleCalendar, google: GoogleServer, clock: SetClock
) -> None:
    """One request for it, not one for each request."""
    await calendar.busy(DAY)
    await calendar.busy(DAY)
    assert google.tokens == 1
    clock.moment += timedelta(minutes=59, seconds=1)
    await calendar.busy(DAY)
    assert google.tokens == 2


async def test_a_revoked_token_is_asked_for_anew(
    calendar: GoogleCalendar, google: GoogleServer
) -> None:
    """By the next request."""
    google.statuses = [401]
    with pytest.raises(CalendarError, match="answered 401"):
        await calendar.busy(DAY)
    assert await calendar.busy(DAY) == []
    assert google.tokens == 2


async def test_a_calendar_that_cannot_be_read_is_an_error(
    calendar: GoogleCalendar, google: GoogleServer
) -> None:
    """An empty list beside an error would be a free day."""
    google.errors = ["notFound"]
    with pytest.raises(CalendarError, match="cannot be read: notFound"):
        await calendar.busy(DAY)


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_a_refusal_is_an_error(
    calendar: GoogleCalendar, google: GoogleServer, status: int
) -> None:
    """Of whatever is asked."""
    google.statuses = [status, status, status]
    for asking in (calendar.busy(DAY), calendar.add(ENTRY), calendar.remove(ENTRY.id)):
        with pytest.raises(CalendarError, match=f"answered {status}"):
            await asking


@pytest.mark.parametrize("key", ["", "{}", '{"client_email": "x"}'])
def test_a_broken_key_is_an_error(client: GuardedClient, key: str) -> None:
    """Without a word of it."""
    settings = GoogleCalendarSettings(calendar="x", service_account=SecretStr(key))
    with pytest.raises(CalendarError, match="not its whole JSON file"):
        GoogleCalendar(client, settings, SetClock())


async def test_a_key_that_signs_nothing_is_an_error(
    google: GoogleServer, client: GuardedClient
) -> None:
    """Without a word of it."""
    whole = google.settings.service_account.get_secret_value()
    broken = SecretStr(whole.replace("PRIVATE KEY", "PRIVATE KEI"))
    settings = google.settings.model_copy(update={"service_account": broken})
    calendar = GoogleCalendar(client, settings, SetClock(), api=google.api)
    with pytest.raises(CalendarError, match="private key cannot be read"):
        await calendar.busy(DAY)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"<html>", b'{"calendars": {}}'])
async def test_an_odd_answer_is_an_error(
    google: GoogleServer, client: GuardedClient, body: bytes
) -> None:
    """Not a free day."""
    said = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    async with raw_server.answering(said) as odd:
        api = f"http://127.0.0.1:{odd.port}"
        calendar = GoogleCalendar(client, google.settings, SetClock(), api=api)
        with pytest.raises(CalendarError, match="answered something else"):
            await calendar.busy(DAY)
