"""The values of `thirdring.yaml` once checked; `thirdring.config` reads and checks the file."""

from __future__ import annotations

from datetime import date, time
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from thirdring.calls import PhoneNumber
from thirdring.outside_settings import CalendarSettings, HttpTool, McpServer

__all__ = [
    "DEFAULT_MODEL",
    "Business",
    "CallMinutes",
    "Destination",
    "FileSettings",
    "GatewaySettings",
    "Holiday",
    "Limits",
    "Line",
    "MaxCalls",
    "MemorySettings",
    "MongoSettings",
    "OpeningHours",
    "ReplyTokens",
    "Settings",
    "SinkSettings",
    "SlotMinutes",
    "StaffMember",
    "ToolCalls",
    "Trunk",
    "TurnTaking",
    "WebhookEndpoint",
    "Weekday",
    "WorkerSettings",
]

DEFAULT_MODEL = "gpt-realtime-2.1"
"""`gpt-realtime` itself retires on 2027-01-20."""

DEFAULT_TRANSCRIPTION_MODEL = "gpt-4o-mini-transcribe"
"""It retires on 2027-02-26; what is to follow it has not been heard by us."""


# Strict: YAML's `yes` is no number, and "30" in quotes is a string.
MaxCalls = Annotated[int, Field(strict=True, ge=1, le=1000)]
SlotMinutes = Annotated[int, Field(strict=True, ge=5, le=240)]
CallMinutes = Annotated[int, Field(strict=True, ge=1, le=240)]
ReplyTokens = Annotated[int, Field(strict=True, ge=50, le=4096)]
ToolCalls = Annotated[int, Field(strict=True, ge=1, le=500)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Weekday(StrEnum):
    """In the order of `datetime.date.weekday`."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class OpeningHours(_Section):
    """One span of a day in the business's own time zone."""

    opens: time
    closes: time


class WebhookEndpoint(_Section):
    """Where the records of a business go.

    Attributes:
        url: https, or http to a loopback address that is allowed.
        secret: `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks).
        previous_secret: The one before, while receivers change over; signs as well.
    """

    url: str
    secret: SecretStr
    previous_secret: SecretStr | None = None


class FileSettings(_Section):
    """A file to which records are added, one line of JSON each.

    Attributes:
        path: In the home folder unless absolute.
    """

    path: Path


class MongoSettings(_Section):
    """A collection that holds one document per call.

    Attributes:
        url: `mongodb://` or `mongodb+srv://`; may hold a password.
    """

    url: SecretStr
    database: str
    collection: str


class SinkSettings(_Section):
    """Where the records of a business go besides its webhook."""

    file: FileSettings | None = None
    mongodb: MongoSettings | None = None


class Holiday(_Section):
    """A day whose hours are not those of its weekday.

    Attributes:
        hours: Empty when the business is closed.
    """

    day: date
    name: str | None = None
    hours: tuple[OpeningHours, ...] = ()


class StaffMember(_Section):
    """Somebody who works for a business.

    Attributes:
        name: Its key in the file.
        number: Where they can be called.
        notify: Apprise URLs of what tells them; may hold secrets.
        urgent_only: They are told of urgent matters alone.
    """

    name: str
    number: PhoneNumber | None = None
    notify: tuple[SecretStr, ...] = ()
    urgent_only: bool = False


class Destination(_Section):
    """Where a caller may be transferred to; the model knows its name, never its number.

    Attributes:
        name: Its key in the file.
        when: For the model: which callers belong there.
    """

    name: str
    number: PhoneNumber
    when: str


class MemorySettings(_Section):
    """What is kept of callers from one call to the next."""

    enabled: bool = True
    retention_days: Annotated[int, Field(strict=True, ge=1, le=3650)] = 365


class Limits(_Section):
    """How much one call may take; None where the workflow decides.

    Attributes:
        call_minutes: The longest call.
        reply_tokens: The longest reply of the model.
        tool_calls: In one call, whatever they are.
    """

    call_minutes: CallMinutes | None = None
    reply_tokens: ReplyTokens | None = None
    tool_calls: ToolCalls = 25


class TurnTaking(_Section):
    """When the model takes its turn (OpenAI Realtime `audio.input.turn_detection`).

    `server_vad` waits for `silence_ms` of silence; `semantic_vad` listens for the end of a thought
    and waits longer or shorter by `eagerness`.
    """

    kind: Literal["server_vad", "semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "medium"
    threshold: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(strict=True, ge=0, le=2000)] = 300
    silence_ms: Annotated[int, Field(strict=True, ge=100, le=5000)] = 500


class Line(_Section):
    """A phone number and what runs behind it.

    Attributes:
        voice: One of the model's voices.
        transcription_model: Writes down what the caller says.
        turn_taking: In place of the workflow's; None for that.
        greeting: Overrides the workflow's; may use `{{ fact }}`.
        instructions: Added to those of workflow and business.
        agent_name: What the agent calls itself here; that of the business when None.
        limits: Those of the business, with the line's own in their place.
        tools: The names of the tools that this line offers, of the workflow's and of the business's
            own; None for all.
    """

    number: PhoneNumber
    workflow: str
    voice: str = "marin"
    model: str = DEFAULT_MODEL
    transcription_model: str = DEFAULT_TRANSCRIPTION_MODEL
    turn_taking: TurnTaking | None = None
    greeting: str | None = None
    instructions: str = ""
    agent_name: str | None = None
    limits: Limits = Limits()
    tools: tuple[str, ...] | None = None


class Business(_Section):
    """A tenant: its lines, what is known about it, where its records go.

    Attributes:
        slug: Its key in the file.
        facts: Text that instructions and greetings may use.
        hours: Days that are missing are closed.
        holidays: Take precedence over `hours`.
        slot_minutes: Length of an appointment.
        languages: BCP 47; the agent speaks the first unless the caller wants another of these.
        agent_name: What the agent calls itself.
        instructions: Added to those of every workflow on its lines.
        staff: By name.
        destinations: By name.
        tools: Those that the file declares, by name.
        mcp_servers: By name.
    """

    slug: str
    name: str
    time_zone: ZoneInfo
    facts: dict[str, str] = Field(default_factory=dict)
    hours: dict[Weekday, tuple[OpeningHours, ...]] = Field(default_factory=dict)
    holidays: tuple[Holiday, ...] = ()
    slot_minutes: SlotMinutes = 30
    languages: tuple[str, ...] = ("en",)
    agent_name: str = "the virtual assistant"
    instructions: str = ""
    staff: dict[str, StaffMember] = Field(default_factory=dict)
    destinations: dict[str, Destination] = Field(default_factory=dict)
    calendar: CalendarSettings = CalendarSettings()
    memory: MemorySettings = MemorySettings()
    limits: Limits = Limits()
    tools: dict[str, HttpTool] = Field(default_factory=dict)
    mcp_servers: dict[str, McpServer] = Field(default_factory=dict)
    webhook: WebhookEndpoint | None = None
    sinks: SinkSettings = SinkSettings()
    lines: tuple[Line, ...]

    @property
    def sink_names(self) -> tuple[str, ...]:
        """Where its records go, by the names that deliveries have in the store."""
        found = {
            "webhook": self.webhook,
            "file": self.sinks.file,
            "mongodb": self.sinks.mongodb,
        }
        return tuple(name for name, part in found.items() if part is not None)


class GatewaySettings(_Section):
    """Our own SIP side.

    Attributes:
        host: An IP address to listen on.
        port: UDP and TCP; 0 for a free one.
        rtp_ports: First and last UDP port of the audio streams.
        allowed_addresses: Who may call. Loopback may when it listens on loopback and this is empty.
        max_calls: At one time; the next is answered 486.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 5060
    rtp_ports: tuple[int, int] = (20000, 20999)
    allowed_addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    max_calls: MaxCalls = 20


class Trunk(_Section):
    """By which way calls come to LiveKit SIP, and for which lines.

    Attributes:
        name: Its key in the file.
        lines: The numbers that may be dialled.
        allowed_addresses: Where calls may come from; any address when empty.
        allowed_numbers: Who may call; anyone when empty.
        auth_username: What the provider must answer a challenge with, together with the password.
    """

    name: str
    lines: tuple[PhoneNumber, ...]
    allowed_addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    allowed_numbers: tuple[PhoneNumber, ...] = ()
    auth_username: str | None = None
    auth_password: SecretStr | None = None


class WorkerSettings(_Section):
    """How much one worker takes on.

    Attributes:
        capacity: Calls at one time.
        idle_processes: Job processes kept warm.
    """

    capacity: Annotated[int, Field(strict=True, ge=1, le=500)] = 10
    idle_processes: Annotated[int, Field(strict=True, ge=0, le=64)] = 5


class Settings(_Section):
    """Everything in `thirdring.yaml`.

    Attributes:
        default_line: Serves console and browser, which dial no number.
        trunks: Those that the file names.
        allowed_receivers: What webhooks may reach although it is no public address.
    """

    businesses: tuple[Business, ...]
    default_line: PhoneNumber | None = None
    gateway: GatewaySettings = GatewaySettings()
    trunks: tuple[Trunk, ...] = ()
    worker: WorkerSettings = WorkerSettings()
    allowed_receivers: tuple[IPv4Network | IPv6Network, ...] = ()

    def find(self, number: str | None) -> tuple[Business, Line] | None:
        """Return the line with this number and the business that it belongs to."""
        for business in self.businesses:
            for line in business.lines:
                if line.number == number:
                    return business, line
        return None
