"""A calendar on a CalDAV server (RFC 4791): iCloud, Nextcloud, Fastmail, Radicale and others."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Final
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]

from thirdring.errors import CalendarError
from thirdring.guarded_http import GuardedClient
from thirdring.outside_settings import CalDavSettings
from thirdring.store.agenda import Span, Timed, overlap
from tools.calendars.calendar import Entry
from tools.calendars.exchange import Answer, exchange

__all__ = ["CalDavCalendar"]

_DATA: Final = ".//{urn:ietf:params:xml:ns:caldav}calendar-data"
_PRECONDITION_FAILED: Final = 412
_GONE: Final = frozenset({404, 410})

# RFC 4791 section 7.8.1. Repeated events come whole and are repeated here: not every server can.
_QUERY: Final = """<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
<D:prop><C:calendar-data/></D:prop>
<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">
<C:time-range start="{start:%Y%m%dT%H%M%SZ}" end="{end:%Y%m%dT%H%M%SZ}"/>
</C:comp-filter></C:comp-filter></C:filter>
</C:calendar-query>
"""


class CalDavCalendar:
    """One calendar collection.

    Args:
        zone: Where days begin, and where times are that name no zone.
    """

    def __init__(self, client: GuardedClient, settings: CalDavSettings, zone: ZoneInfo) -> None:
        self._client = client
        self._url = settings.url.rstrip("/") + "/"
        login = f"{settings.username}:{settings.password.get_secret_value()}".encode()
        self._login = {"authorization": f"Basic {base64.b64encode(login).decode('ascii')}"}
        self._zone = zone
        self._etags: dict[str, str] = {}

    async def busy(self, span: Timed) -> list[Span]:
        """Return when the events take place that are opaque and not cancelled; see `Calendar`."""
        start, end = span.starts_at.astimezone(UTC), span.ends_at.astimezone(UTC)
        headers = {"depth": "1", "content-type": "application/xml; charset=utf-8"}
        query = _QUERY.format(start=start, end=end).encode()
        answer = await self._send("REPORT", self._url, headers, query)
        if answer.status != 207:
            raise answer.unexpected()
        try:
            # Of a full calendar it takes longer than a packet of sound may be late.
            return await asyncio.to_thread(_all_busy, answer.body, span, self._zone)
        except (ValueError, KeyError, ElementTree.ParseError) as error:
            raise CalendarError(f"the calendar cannot be understood: {error}") from error

    async def add(self, entry: Entry) -> None:
        """Store an event under a name of ours, unless there is one (RFC 4791 section 5.3.2)."""
        headers = {"content-type": "text/calendar; charset=utf-8", "if-none-match": "*"}
        answer = await self._send("PUT", self._address(entry.id), headers, _written(entry))
        if answer.status not in (201, 204, _PRECONDITION_FAILED):
            raise answer.unexpected()
        if etag := answer.headers.get("etag"):
            self._etags[entry.id] = etag

    async def remove(self, entry_id: str) -> None:
        """Delete an event, unless somebody has changed it since; see `Calendar`."""
        etag = self._etags.get(entry_id)
        headers = {"if-match": etag} if etag else {}
        answer = await self._send("DELETE", self._address(entry_id), headers)
        if answer.status not in (200, 204, _PRECONDITION_FAILED, *_GONE):
            raise answer.unexpected()

    def _address(self, entry_id: str) -> str:
        return f"{self._url}{entry_id}.ics"

    async def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes = b""
    ) -> Answer:
        return await exchange(self._client, method, url, self._login | headers, body)


def _calendar_data(body: bytes) -> Iterator[str]:
    # Entities are what makes a short document long, or read a file; no server needs any.
    if b"<!" in body.replace(b"<![CDATA[", b""):
        raise CalendarError("the calendar's server declares a document type")
    root = ElementTree.fromstring(body)  # noqa: S314 - see above
    for found in root.iterfind(_DATA):
        if found.text:
            yield found.text


def _all_busy(body: bytes, span: Timed, zone: ZoneInfo) -> list[Span]:
    return [busy for text in _calendar_data(body) for busy in _busy(text, span, zone)]


def _busy(text: str, span: Timed, zone: ZoneInfo) -> Iterator[Span]:
    calendar = icalendar.Calendar.from_ical(text)
    # A day more on both sides: what has no zone is a time of `zone`, which the library cannot know.
    first, last = span.starts_at.astimezone(zone).date(), span.ends_at.astimezone(zone).date()
    days = recurring_ical_events.of(calendar, components=["VEVENT"]).between(
        date.fromordinal(first.toordinal() - 1), date.fromordinal(last.toordinal() + 2)
    )
    for event in days:
        if event.get("STATUS") == "CANCELLED" or event.get("TRANSP") == "TRANSPARENT":
            continue
        found = Span(_moment(event.start, zone), _moment(event.end, zone))
        if overlap(found, span):
            yield found


def _moment(value: date | datetime, zone: ZoneInfo) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), zone)
    return value if value.tzinfo else value.replace(tzinfo=zone)


def _written(entry: Entry) -> bytes:
    event = icalendar.Event()
    event.add("uid", entry.id)
    event.add("dtstamp", datetime.now(UTC))
    event.add("summary", entry.title)
    event.add("dtstart", entry.starts_at.astimezone(UTC))
    event.add("dtend", entry.ends_at.astimezone(UTC))
    if entry.notes:
        event.add("description", entry.notes)
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Thirdring//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written
