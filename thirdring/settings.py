"""The values of `thirdring.yaml` once checked; `thirdring.config` reads and checks the file."""

from __future__ import annotations

from datetime import time
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from thirdring.calls import PhoneNumber

__all__ = [
    "DEFAULT_MODEL",
    "Business",
    "GatewaySettings",
    "Line",
    "MaxCalls",
    "OpeningHours",
    "Settings",
    "SlotMinutes",
    "Trunk",
    "WebhookEndpoint",
    "Weekday",
    "WorkerSettings",
]

DEFAULT_MODEL = "gpt-realtime-2.1"
"""`gpt-realtime` itself retires on 2027-01-20."""


# Strict: YAML's `yes` is no number, and "30" in quotes is a string.
MaxCalls = Annotated[int, Field(strict=True, ge=1, le=1000)]
SlotMinutes = Annotated[int, Field(strict=True, ge=5, le=240)]


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
        url: https, or http to a loopback address.
        secret: `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks).
    """

    url: str
    secret: SecretStr


class Line(_Section):
    """A phone number and what runs behind it.

    Attributes:
        voice: One of the model's voices.
        greeting: Overrides the workflow's; may use `{{ fact }}`.
        tools: The names of those of the workflow's tools that this line offers; None for all.
    """

    number: PhoneNumber
    workflow: str
    voice: str = "marin"
    model: str = DEFAULT_MODEL
    greeting: str | None = None
    tools: tuple[str, ...] | None = None


class Business(_Section):
    """A tenant: its lines, what is known about it, where its records go.

    Attributes:
        slug: Its key in the file.
        facts: Text that instructions and greetings may use.
        hours: Days that are missing are closed.
        slot_minutes: Length of an appointment.
    """

    slug: str
    name: str
    time_zone: ZoneInfo
    facts: dict[str, str] = Field(default_factory=dict)
    hours: dict[Weekday, tuple[OpeningHours, ...]] = Field(default_factory=dict)
    slot_minutes: SlotMinutes = 30
    webhook: WebhookEndpoint | None = None
    lines: tuple[Line, ...]


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
    """

    businesses: tuple[Business, ...]
    default_line: PhoneNumber | None = None
    gateway: GatewaySettings = GatewaySettings()
    trunks: tuple[Trunk, ...] = ()
    worker: WorkerSettings = WorkerSettings()

    def find(self, number: str | None) -> tuple[Business, Line] | None:
        """Return the line with this number and the business that it belongs to."""
        for business in self.businesses:
            for line in business.lines:
                if line.number == number:
                    return business, line
        return None
