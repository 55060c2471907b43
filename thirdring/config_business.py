"""The part of `thirdring.yaml` that one business and its lines are."""

from __future__ import annotations

import re
from datetime import date
from difflib import get_close_matches
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from thirdring.calls import e164
from thirdring.config_outside import CalendarFile, HttpToolFile, McpServerFile, tool_name
from thirdring.config_sinks import SinksFile, WebhookFile
from thirdring.config_values import (
    FilePart,
    listed,
    mapped,
    not_empty,
    one_of,
    parse_day,
    parse_span,
    wrong,
)
from thirdring.languages import LANGUAGES
from thirdring.prompts import MAX_VALUE_LENGTH
from thirdring.settings import (
    DEFAULT_MODEL,
    DEFAULT_TRANSCRIPTION_MODEL,
    Business,
    CallMinutes,
    Destination,
    Holiday,
    Limits,
    Line,
    MemorySettings,
    OpeningHours,
    ReplyTokens,
    SlotMinutes,
    StaffMember,
    ToolCalls,
    TurnTaking,
    Weekday,
)

__all__ = ["BusinessFile", "E164Number"]

VOICES: Final = (
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "marin",
    "sage",
    "shimmer",
    "verse",
)
"""Of the OpenAI Realtime API."""

_VOICE: Final = "marin"
_FACT: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LANGUAGE: Final = re.compile(r"([a-z]{2,3})(-[A-Z][a-z]{3})?(-(?:[A-Z]{2}|[0-9]{3}))?")
_NOTIFICATION: Final = re.compile(r"[a-z][a-z0-9]{1,30}://[\x21-\x7e]{1,2000}")
_MAX_INSTRUCTIONS: Final = 8000


def _number(text: str) -> str:
    if not text.startswith("+") or e164(text) != text:
        raise wrong("is not an E.164 number", 'a number such as "+12025550142"')
    return text


def _fact_name(text: str) -> str:
    if not _FACT.fullmatch(text):
        raise wrong("is no name for a fact", "up to 63 of a-z, 0-9 and _, a letter first")
    return text


def _destination_name(text: str) -> str:
    if not _KEY.fullmatch(text):
        raise wrong("is no name for a destination", "1 to 63 of a-z, 0-9, _ and -")
    return text


def _person(text: str) -> str:
    if not 0 < len(text) <= 80 or not text.isprintable() or text != text.strip():
        raise wrong("is no name for a person", "1 to 80 characters on one line")
    return text


def _notification(text: str) -> str:
    if not _NOTIFICATION.fullmatch(text):
        expected = "an Apprise address such as ntfys://ntfy.sh/topic or mailto://user:secret@host"
        raise wrong("is no address of a notification service", expected)
    return text


def _server_name(text: str) -> str:
    if not _KEY.fullmatch(text):
        raise wrong("is no name for a server", "1 to 63 of a-z, 0-9, _ and -")
    return text


def _zone(value: object) -> ZoneInfo:
    try:
        # OSError: some names are folders of the time zone database.
        return ZoneInfo(value) if isinstance(value, str) else ZoneInfo("")
    except (ValueError, KeyError, OSError):
        near = get_close_matches(str(value)[:64], available_timezones(), n=1)
        hint = f' (did you mean "{near[0]}"?)' if near else ""
        raise wrong("is no time zone", f"a name such as America/New_York{hint}") from None


def _span(value: object) -> OpeningHours:
    span = parse_span(value)
    if span is None:
        raise wrong(
            "is no span of a day", '"HH:MM-HH:MM" such as "09:00-17:00", opening before it closes'
        )
    return span


def _day(value: object) -> date:
    day = parse_day(value)
    if day is None:
        raise wrong("is no day", "a day such as 2026-12-25")
    return day


def _voice(text: str) -> str:
    if text not in VOICES:
        raise wrong("is no voice of the model", one_of(text, VOICES))
    return text


def _language(text: str) -> str:
    match = _LANGUAGE.fullmatch(text)
    if match is None:
        raise wrong("is no language tag", "a tag such as en, es or pt-BR")
    if match[1] not in LANGUAGES:
        raise wrong("is no language of the model", one_of(match[1], LANGUAGES))
    return text


_Text = Annotated[str, Field(min_length=1, max_length=MAX_VALUE_LENGTH)]
_Instructions = Annotated[str, Field(min_length=1, max_length=_MAX_INSTRUCTIONS)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Voice = Annotated[str, AfterValidator(_voice)]
_Spans = Annotated[
    tuple[Annotated[OpeningHours, BeforeValidator(_span)], ...], listed('["09:00-17:00"]')
]
E164Number = Annotated[str, AfterValidator(_number)]


class HolidayFile(FilePart):
    day: Annotated[date, BeforeValidator(_day)]
    name: _Name | None = None
    hours: _Spans = ()


class StaffFile(FilePart):
    number: E164Number | None = None
    notify: tuple[Annotated[str, AfterValidator(_notification)], ...] = ()
    urgent_only: Annotated[bool, Field(strict=True)] = False

    def member(self, name: str) -> StaffMember:
        return StaffMember(
            name=name,
            number=self.number,
            notify=tuple(SecretStr(url) for url in self.notify),
            urgent_only=self.urgent_only,
        )


class DestinationFile(FilePart):
    number: E164Number
    when: Annotated[str, Field(min_length=1, max_length=300)]


class MemoryFile(FilePart):
    enabled: Annotated[bool, Field(strict=True)] = True
    retention_days: Annotated[int, Field(strict=True, ge=1, le=3650)] = 365


class LimitsFile(FilePart):
    call_minutes: CallMinutes | None = None
    reply_tokens: ReplyTokens | None = None
    tool_calls: ToolCalls | None = None

    def over(self, limits: Limits) -> Limits:
        """Return `limits` with what is said here in their place."""
        return limits.model_copy(update=self.model_dump(exclude_none=True))


class SpokenFile(FilePart):
    """How the agent speaks: for a business, and for one of its lines.

    `ai_instructions` and `voice_id` are `instructions` and `voice` as other systems call them.
    """

    agent_name: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    instructions: _Instructions | None = None
    ai_instructions: _Instructions | None = None
    voice: _Voice | None = None
    voice_id: _Voice | None = None
    limits: LimitsFile = LimitsFile()


class LineFile(SpokenFile):
    number: E164Number
    workflow: _Name
    model: _Name = DEFAULT_MODEL
    transcription_model: _Name = DEFAULT_TRANSCRIPTION_MODEL
    turn_taking: TurnTaking | None = None
    greeting: _Text | None = None
    tools: tuple[_Name, ...] | None = None

    def line(self, *, voice: str, limits: Limits) -> Line:
        return Line(
            number=self.number,
            workflow=self.workflow,
            voice=self.voice or self.voice_id or voice,
            model=self.model,
            transcription_model=self.transcription_model,
            turn_taking=self.turn_taking,
            greeting=self.greeting,
            instructions=self.instructions or self.ai_instructions or "",
            agent_name=self.agent_name,
            limits=self.limits.over(limits),
            tools=self.tools,
        )


class BusinessFile(SpokenFile):
    """A tenant."""

    name: _Name
    time_zone: Annotated[ZoneInfo, BeforeValidator(_zone)]
    facts: dict[Annotated[str, AfterValidator(_fact_name)], _Text] = Field(default_factory=dict)
    hours: Annotated[dict[Weekday, _Spans], mapped('monday: ["09:00-17:00"]')] = Field(
        default_factory=dict
    )
    holidays: tuple[HolidayFile, ...] = ()
    slot_minutes: SlotMinutes = 30
    languages: Annotated[
        tuple[Annotated[str, AfterValidator(_language)], ...],
        listed("[en, es]"),
        AfterValidator(not_empty),
    ] = ("en",)
    staff: dict[Annotated[str, AfterValidator(_person)], StaffFile] = Field(default_factory=dict)
    destinations: dict[Annotated[str, AfterValidator(_destination_name)], DestinationFile] = Field(
        default_factory=dict
    )
    calendar: CalendarFile = CalendarFile()
    memory: MemoryFile = MemoryFile()
    tools: dict[Annotated[str, AfterValidator(tool_name)], HttpToolFile] = Field(
        default_factory=dict
    )
    mcp_servers: dict[Annotated[str, AfterValidator(_server_name)], McpServerFile] = Field(
        default_factory=dict
    )
    webhook: WebhookFile | None = None
    sinks: SinksFile = SinksFile()
    lines: Annotated[tuple[LineFile, ...], AfterValidator(not_empty)]

    def business(self, slug: str) -> Business:
        """Return what the rest of the program reads."""
        limits = self.limits.over(Limits())
        voice = self.voice or self.voice_id or _VOICE
        named = {} if self.agent_name is None else {"agent_name": self.agent_name}
        return Business(
            slug=slug,
            name=self.name,
            time_zone=self.time_zone,
            facts=self.facts,
            hours=self.hours,
            holidays=tuple(
                Holiday(day=one.day, name=one.name, hours=one.hours) for one in self.holidays
            ),
            slot_minutes=self.slot_minutes,
            languages=self.languages,
            instructions=self.instructions or self.ai_instructions or "",
            staff={name: one.member(name) for name, one in self.staff.items()},
            destinations={
                name: Destination(name=name, number=one.number, when=one.when)
                for name, one in self.destinations.items()
            },
            calendar=self.calendar.settings(),
            memory=MemorySettings.model_validate(self.memory.model_dump()),
            limits=limits,
            tools={name: one.tool(name) for name, one in self.tools.items()},
            mcp_servers={name: one.server(name) for name, one in self.mcp_servers.items()},
            webhook=self.webhook and self.webhook.endpoint(),
            sinks=self.sinks.settings(),
            lines=tuple(line.line(voice=voice, limits=limits) for line in self.lines),
            **named,
        )
