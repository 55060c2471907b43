"""The shape of `thirdring.yaml`: one model per mapping, one check per value."""

from __future__ import annotations

import re
from collections.abc import Sized
from difflib import get_close_matches
from typing import Annotated, Final, Literal, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from thirdring.calls import e164
from thirdring.config_sinks import SinksFile, WebhookFile
from thirdring.config_values import (
    FilePart,
    NetworkValue,
    one_of,
    parse_listen,
    parse_ports,
    parse_span,
    wrong,
)
from thirdring.prompts import MAX_VALUE_LENGTH
from thirdring.settings import (
    DEFAULT_MODEL,
    Business,
    GatewaySettings,
    Line,
    MaxCalls,
    OpeningHours,
    Settings,
    SlotMinutes,
    Trunk,
    Weekday,
    WorkerSettings,
)

__all__ = ["VOICES", "SettingsFile"]

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

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_Entries = TypeVar("_Entries", bound=Sized)
_FACT: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _not_empty(entries: _Entries) -> _Entries:
    # Not by `min_length`: of tuples pydantic counts the entries that are right.
    if not entries:
        raise wrong("is empty", "at least one entry")
    return entries


def _number(text: str) -> str:
    if not text.startswith("+") or e164(text) != text:
        raise wrong("is not an E.164 number", 'a number such as "+12025550142"')
    return text


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise wrong("is no name for a business", "1 to 63 of a-z, 0-9, _ and -")
    return text


def _trunk_name(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise wrong("is no name for a trunk", "1 to 63 of a-z, 0-9, _ and -")
    return text


def _fact_name(text: str) -> str:
    if not _FACT.fullmatch(text):
        raise wrong("is no name for a fact", "up to 63 of a-z, 0-9 and _, a letter first")
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
        raise wrong("is no span of a day", '"HH:MM-HH:MM", opening before it closes')
    return span


def _voice(text: str) -> str:
    if text not in VOICES:
        raise wrong("is no voice of the model", one_of(text, VOICES))
    return text


def _listen(value: object) -> tuple[str, int]:
    listen = parse_listen(value)
    if listen is None:
        expected = "address:port with an IP address, such as 127.0.0.1:5060"
        raise wrong("is no address to listen on", expected)
    return listen


def _ports(value: object) -> tuple[int, int]:
    ports = parse_ports(value)
    if ports is None:
        expected = "first-last within 1024-65535, the first even and the last odd"
        raise wrong("is no range of ports", expected)
    return ports


_Text = Annotated[str, Field(min_length=1, max_length=MAX_VALUE_LENGTH)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Number = Annotated[str, AfterValidator(_number)]
_Span = Annotated[OpeningHours, BeforeValidator(_span)]


class LineFile(FilePart):
    number: _Number
    workflow: _Name
    voice: Annotated[str, AfterValidator(_voice)] = "marin"
    model: _Name = DEFAULT_MODEL
    greeting: _Text | None = None
    tools: tuple[_Name, ...] | None = None


class BusinessFile(FilePart):
    name: _Name
    time_zone: Annotated[ZoneInfo, BeforeValidator(_zone)]
    facts: dict[Annotated[str, AfterValidator(_fact_name)], _Text] = Field(default_factory=dict)
    hours: dict[Weekday, tuple[_Span, ...]] = Field(default_factory=dict)
    slot_minutes: SlotMinutes = 30
    webhook: WebhookFile | None = None
    sinks: SinksFile = SinksFile()
    lines: Annotated[tuple[LineFile, ...], AfterValidator(_not_empty)]

    def business(self, slug: str) -> Business:
        return Business(
            slug=slug,
            name=self.name,
            time_zone=self.time_zone,
            facts=self.facts,
            hours=self.hours,
            slot_minutes=self.slot_minutes,
            webhook=self.webhook and self.webhook.endpoint(),
            sinks=self.sinks.settings(),
            lines=tuple(Line.model_validate(line.model_dump()) for line in self.lines),
        )


class GatewayFile(FilePart):
    listen: Annotated[tuple[str, int], BeforeValidator(_listen)] = ("127.0.0.1", 5060)
    rtp_ports: Annotated[tuple[int, int], BeforeValidator(_ports)] = (20000, 20999)
    allowed_addresses: tuple[NetworkValue, ...] = ()
    max_calls: MaxCalls = 20

    def settings(self) -> GatewaySettings:
        host, port = self.listen
        return GatewaySettings(
            host=host,
            port=port,
            rtp_ports=self.rtp_ports,
            allowed_addresses=self.allowed_addresses,
            max_calls=self.max_calls,
        )


class TrunkFile(FilePart):
    # A key without a value is a slip, and none of them may open the trunk: hence no `None`.
    lines: Annotated[tuple[_Number, ...], AfterValidator(_not_empty)] = ()
    allowed_addresses: tuple[NetworkValue, ...] = ()
    allowed_numbers: tuple[_Number, ...] = ()
    auth_username: _Name = ""
    auth_password: _Name = ""

    def trunk(self, name: str, numbers: tuple[str, ...]) -> Trunk:
        return Trunk(
            name=name,
            lines=self.lines or numbers,
            allowed_addresses=self.allowed_addresses,
            allowed_numbers=self.allowed_numbers,
            auth_username=self.auth_username or None,
            auth_password=SecretStr(self.auth_password) if self.auth_password else None,
        )


class SettingsFile(FilePart):
    """The whole file."""

    version: Literal[1]
    businesses: Annotated[
        dict[Annotated[str, AfterValidator(_slug)], BusinessFile], AfterValidator(_not_empty)
    ]
    default_line: _Number | None = None
    gateway: GatewayFile = GatewayFile()
    trunks: Annotated[
        dict[Annotated[str, AfterValidator(_trunk_name)], TrunkFile], AfterValidator(_not_empty)
    ] = Field(default_factory=dict)
    worker: WorkerSettings = WorkerSettings()
    allowed_receivers: tuple[NetworkValue, ...] = ()

    def settings(self) -> Settings:
        """Return what the rest of the program reads."""
        numbers = tuple(line.number for part in self.businesses.values() for line in part.lines)
        return Settings(
            businesses=tuple(part.business(slug) for slug, part in self.businesses.items()),
            default_line=self.default_line,
            gateway=self.gateway.settings(),
            trunks=tuple(part.trunk(n, numbers) for n, part in self.trunks.items()),
            worker=self.worker,
            allowed_receivers=self.allowed_receivers,
        )
