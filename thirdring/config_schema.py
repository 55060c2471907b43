"""The shape of `thirdring.yaml`: one model per mapping, one check per value."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from thirdring.config_business import BusinessFile, E164Number
from thirdring.config_values import (
    FilePart,
    Networks,
    not_empty,
    parse_listen,
    parse_ports,
    wrong,
)
from thirdring.settings import GatewaySettings, MaxCalls, Settings, Trunk, WorkerSettings

__all__ = ["SettingsFile"]

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise wrong("is no name for a business", "1 to 63 of a-z, 0-9, _ and -")
    return text


def _trunk_name(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise wrong("is no name for a trunk", "1 to 63 of a-z, 0-9, _ and -")
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


_Name = Annotated[str, Field(min_length=1, max_length=200)]


class GatewayFile(FilePart):
    listen: Annotated[tuple[str, int], BeforeValidator(_listen)] = ("127.0.0.1", 5060)
    rtp_ports: Annotated[tuple[int, int], BeforeValidator(_ports)] = (20000, 20999)
    allowed_addresses: Networks = ()
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
    lines: Annotated[tuple[E164Number, ...], AfterValidator(not_empty)] = ()
    allowed_addresses: Networks = ()
    allowed_numbers: tuple[E164Number, ...] = ()
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
        dict[Annotated[str, AfterValidator(_slug)], BusinessFile], AfterValidator(not_empty)
    ]
    default_line: E164Number | None = None
    gateway: GatewayFile = GatewayFile()
    trunks: Annotated[
        dict[Annotated[str, AfterValidator(_trunk_name)], TrunkFile], AfterValidator(not_empty)
    ] = Field(default_factory=dict)
    worker: WorkerSettings = WorkerSettings()
    allowed_receivers: Networks = ()

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
