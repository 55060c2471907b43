"""What the parts of the schema of `thirdring.yaml` share.

Checks raise `wrong(what, expected)`; neither part may hold the value, which can be a secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sized
from datetime import date, time
from difflib import get_close_matches
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from thirdring.egress import Network
from thirdring.settings import OpeningHours
from thirdring.yaml_document import Unclear

__all__ = [
    "FilePart",
    "Networks",
    "is_loopback",
    "listed",
    "mapped",
    "not_empty",
    "one_of",
    "parse_day",
    "parse_listen",
    "parse_network",
    "parse_ports",
    "parse_span",
    "wrong",
]

_SPAN: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PORTS: Final = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_LISTEN: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")

_Entries = TypeVar("_Entries", bound=Sized)


def wrong(what: str, expected: str) -> PydanticCustomError:
    """Return the error that a check raises."""
    return PydanticCustomError("thirdring", "{what}", {"what": what, "expected": expected})


def not_empty(entries: _Entries) -> _Entries:
    """Return a list or a mapping that has something in it."""
    # Not by `min_length`: of tuples pydantic counts the entries that are right.
    if not entries:
        raise wrong("is empty", "at least one entry")
    return entries


def listed(example: str) -> BeforeValidator:
    """Return the check that a value is a list; `example` is one."""
    return _shaped(list, "is not a list", f"a list, such as {example}")


def mapped(example: str) -> BeforeValidator:
    """Return the check that a value is a mapping; `example` is one."""
    return _shaped(dict, "is not a mapping", f"keys with values, such as {example}")


def _shaped(shape: type, what: str, expected: str) -> BeforeValidator:
    def check(value: object) -> object:
        if not isinstance(value, shape):
            raise wrong(what, expected)
        return value

    return BeforeValidator(check)


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


def parse_day(value: object) -> date | None:
    """Return the day that `2026-12-25` means, in quotes or not; None when it means nothing."""
    written = value.written if isinstance(value, Unclear) else value
    if not isinstance(written, str) or not _DAY.fullmatch(written):
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None


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


def parse_network(value: object) -> Network | None:
    """Return the network that `192.0.2.0/24` or `192.0.2.7` names."""
    try:
        return ipaddress.ip_network(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _network(value: object) -> Network:
    expected = "an address or a network, such as 192.0.2.7 or 192.0.2.0/24"
    if not isinstance(value, str):
        raise wrong("is not a string", expected)
    network = parse_network(value)
    if network is not None:
        return network
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        raise wrong("is no network", expected) from None
    expected = "the network, such as 192.0.2.0/24, or the address alone, such as 192.0.2.7"
    raise wrong("is an address inside a network", expected)


Networks = Annotated[
    tuple[Annotated[Network, BeforeValidator(_network)], ...], listed('[192.0.2.0/24, "::1/128"]')
]


class FilePart(BaseModel):
    """A mapping of the file."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )
