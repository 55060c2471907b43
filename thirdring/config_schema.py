"""The shape of `thirdring.yaml`: one model per mapping, one check per value.

Checks raise `wrong(what, expected)`; neither part may hold the value, which can be a secret.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable, Sized
from datetime import time
from difflib import get_close_matches
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

from thirdring.calls import e164
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
    WebhookEndpoint,
    Weekday,
    WorkerSettings,
)

__all__ = [
    "VOICES",
    "SettingsFile",
    "is_loopback",
    "one_of",
    "parse_listen",
    "parse_ports",
    "parse_span",
]

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

_SPAN: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_PORTS: Final = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_LISTEN: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_Entries = TypeVar("_Entries", bound=Sized)
_FACT: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


def wrong(what: str, expected: str) -> PydanticCustomError:
    """Return the error that a check raises."""
    return PydanticCustomError("thirdring", "{what}", {"what": what, "expected": expected})


def one_of(name: str, known: Iterable[str]) -> str:
    """Say what `name` may have been meant to be."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1) if len(name) <= 64 else []
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    if close:
        return f'one of {listed} (did you mean "{close[0]}"?)'
    return f"one of {listed}" if names else "nothing here: there are none"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches `host`; of names, only `localhost` is believed."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_span(value: object) -> OpeningHours | None:
    """Return the span that `09:00-17:00` means; None when it means nothing, or ends early."""
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    hours, minutes, end_hours, end_minutes = (int(group) for group in match.groups())
    opens, closes = time(hours, minutes), time(end_hours, end_minutes)
    return OpeningHours(opens=opens, closes=closes) if opens < closes else None


def parse_listen(value: object) -> tuple[str, int] | None:
    """Return address and port of `127.0.0.1:5060` or `[::1]:5060`."""
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[3]) > 65535:
        return None
    try:
        return str(ipaddress.ip_address(match[1] or match[2])), int(match[3])
    except ValueError:
        return None


def parse_ports(value: object) -> tuple[int, int] | None:
    """Return the first and the last port of `20000-20999`.

    RTP takes an even port and RTCP the next one (RFC 3550 section 11), hence whole pairs only.
    """
    match = _PORTS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    pairs = first % 2 == 0 and last % 2 == 1
    return (first, last) if pairs and 1024 <= first < last <= 65535 else None


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


def _webhook_url(text: str) -> str:
    expected = "an https URL, or http to a loopback address"
    if not text.isascii() or not text.isprintable() or " " in text:
        raise wrong("is not a URL", expected)
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError:
        raise wrong("is not a URL", expected) from None
    if url.scheme not in ("http", "https") or not host:
        raise wrong("is not a web address", expected)
    if url.username is not None or url.password is not None:
        raise wrong("holds a user name or a password", "a URL without them")
    if url.scheme == "http" and not is_loopback(host):
        raise wrong("is http outside of this machine", expected)
    return text


def _webhook_secret(text: str) -> str:
    expected = "whsec_ and base64 of 24 to 64 random bytes"
    if not text.startswith("whsec_"):
        raise wrong("does not begin with whsec_", expected)
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise wrong("is not base64 after whsec_", expected) from None
    if not 24 <= len(key) <= 64:
        raise wrong("is too short" if len(key) < 24 else "is too long", expected)
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


def _network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    expected = "an address or a network, such as 192.0.2.7 or 192.0.2.0/24"
    if not isinstance(value, str):
        raise wrong("is not a string", expected)
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        raise wrong("is no network", expected) from None


_Text = Annotated[str, Field(min_length=1, max_length=MAX_VALUE_LENGTH)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Number = Annotated[str, AfterValidator(_number)]
_Span = Annotated[OpeningHours, BeforeValidator(_span)]
_Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(_network)]


class _Mapping(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class WebhookFile(_Mapping):
    url: Annotated[str, AfterValidator(_webhook_url)]
    secret: Annotated[str, AfterValidator(_webhook_secret)]


class LineFile(_Mapping):
    number: _Number
    workflow: _Name
    voice: Annotated[str, AfterValidator(_voice)] = "marin"
    model: _Name = DEFAULT_MODEL
    greeting: _Text | None = None
    tools: tuple[_Name, ...] | None = None


class BusinessFile(_Mapping):
    name: _Name
    time_zone: Annotated[ZoneInfo, BeforeValidator(_zone)]
    facts: dict[Annotated[str, AfterValidator(_fact_name)], _Text] = Field(default_factory=dict)
    hours: dict[Weekday, tuple[_Span, ...]] = Field(default_factory=dict)
    slot_minutes: SlotMinutes = 30
    webhook: WebhookFile | None = None
    lines: Annotated[tuple[LineFile, ...], AfterValidator(_not_empty)]

    def business(self, slug: str) -> Business:
        hook = self.webhook
        return Business(
            slug=slug,
            name=self.name,
            time_zone=self.time_zone,
            facts=self.facts,
            hours=self.hours,
            slot_minutes=self.slot_minutes,
            webhook=hook and WebhookEndpoint(url=hook.url, secret=SecretStr(hook.secret)),
            lines=tuple(Line.model_validate(line.model_dump()) for line in self.lines),
        )


class GatewayFile(_Mapping):
    listen: Annotated[tuple[str, int], BeforeValidator(_listen)] = ("127.0.0.1", 5060)
    rtp_ports: Annotated[tuple[int, int], BeforeValidator(_ports)] = (20000, 20999)
    allowed_addresses: tuple[_Network, ...] = ()
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


class TrunkFile(_Mapping):
    # A key without a value is a slip, and none of them may open the trunk: hence no `None`.
    lines: Annotated[tuple[_Number, ...], AfterValidator(_not_empty)] = ()
    allowed_addresses: tuple[_Network, ...] = ()
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


class SettingsFile(_Mapping):
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

    def settings(self) -> Settings:
        """Return what the rest of the program reads."""
        numbers = tuple(line.number for part in self.businesses.values() for line in part.lines)
        return Settings(
            businesses=tuple(part.business(slug) for slug, part in self.businesses.items()),
            default_line=self.default_line,
            gateway=self.gateway.settings(),
            trunks=tuple(part.trunk(n, numbers) for n, part in self.trunks.items()),
            worker=self.worker,
        )
