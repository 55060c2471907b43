"""Where a URL from a configuration may lead.

Whoever may name a URL could otherwise make this machine talk to what only it can reach: the
metadata service of a cloud, a database, a router (server-side request forgery). Hence only https
to public addresses on the usual ports, and what lies inside by an explicit list of networks.

`check_url` judges what a URL says. Names say little, so `check_address` judges every address that a
name turns out to have; the caller dials none but those that were judged.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from thirdring.errors import EgressRefused

__all__ = [
    "PORTS",
    "Network",
    "Target",
    "check_address",
    "check_url",
    "is_local_name",
    "is_loopback",
    "is_never_allowed",
]

Network = IPv4Network | IPv6Network

PORTS: Final = frozenset({443, 8443})
"""Where receivers outside listen; other ports are those of databases, mail and shells."""

LOOPBACK: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_LINK_LOCAL: Final = "link-local, where clouds keep credentials"
_DOCUMENTATION: Final = "for documentation"
_METADATA: Final = "a service that a cloud has for its machines"
_REWRITTEN: Final = "IPv4 written as IPv6"

# IANA's registries of special-purpose addresses, RFC 6890 and what has changed since; before them
# what clouds have put elsewhere. The first that holds an address counts.
_SPECIAL: Final[tuple[tuple[Network, str], ...]] = (
    *((network, "loopback") for network in LOOPBACK),
    (IPv4Network("100.100.100.200/32"), _METADATA),  # Alibaba Cloud
    (IPv4Network("168.63.129.16/32"), _METADATA),  # Azure
    (IPv6Network("fd00:ec2::/32"), _METADATA),  # Amazon
    (IPv6Network("fd20:ce::254/128"), _METADATA),  # Google
    (IPv4Network("0.0.0.0/8"), "this network"),
    (IPv4Network("10.0.0.0/8"), "private"),
    (IPv4Network("100.64.0.0/10"), "shared by the customers of a carrier"),
    (IPv4Network("169.254.0.0/16"), _LINK_LOCAL),
    (IPv4Network("172.16.0.0/12"), "private"),
    (IPv4Network("192.0.0.0/24"), "for protocols"),
    (IPv4Network("192.0.2.0/24"), _DOCUMENTATION),
    (IPv4Network("192.31.196.0/24"), "for AS112"),
    (IPv4Network("192.52.193.0/24"), "for multicast tunnels"),
    (IPv4Network("192.88.99.0/24"), "a relay to IPv6"),
    (IPv4Network("192.168.0.0/16"), "private"),
    (IPv4Network("192.175.48.0/24"), "for AS112"),
    (IPv4Network("198.18.0.0/15"), "for benchmarks"),
    (IPv4Network("198.51.100.0/24"), _DOCUMENTATION),
    (IPv4Network("203.0.113.0/24"), _DOCUMENTATION),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("255.255.255.255/32"), "broadcast"),
    (IPv4Network("240.0.0.0/4"), "reserved"),
    (IPv6Network("::/128"), "this network"),
    (IPv6Network("::ffff:0:0/96"), _REWRITTEN),
    (IPv6Network("::/96"), _REWRITTEN),
    (IPv6Network("fc00::/7"), "private"),
    (IPv6Network("fe80::/10"), _LINK_LOCAL),
    (IPv6Network("fec0::/10"), "private"),
    (IPv6Network("ff00::/8"), "multicast"),
    (IPv6Network("2001::/32"), "a tunnel (Teredo)"),
    (IPv6Network("2001:db8::/32"), _DOCUMENTATION),
    (IPv6Network("2001::/23"), "for protocols"),
    (IPv6Network("2002::/16"), "a tunnel (6to4)"),
    (IPv6Network("2620:4f:8000::/48"), "for AS112"),
    (IPv6Network("3fff::/20"), _DOCUMENTATION),
)
# Of IPv6 all that was ever given out for use by everybody (RFC 4291 section 2.4).
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")
# What a network without IPv4 makes of a public IPv4 address (RFC 6052 section 2.1).
_NAT64: Final = IPv6Network("64:ff9b::/96")
# No list makes these right: they lead to nobody in particular, to the metadata of a cloud, or to an
# IPv4 address that the list did not name.
_NEVER: Final = frozenset(
    {"this network", "multicast", "broadcast", _LINK_LOCAL, _METADATA, _REWRITTEN}
)

# Names that no public DNS has an answer for, so that the answer would come from inside.
_LOCAL_ZONES: Final = frozenset(
    (
        *("arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local"),
        *("localdomain", "localhost", "onion", "private", "test", "workgroup"),
    )
)
_URL: Final = re.compile(r"(https?)://([^/?#]*)([/?][^# \\\\]*)?", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::(.*))?")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_WANTED: Final = "https://host/path with a public host"


@dataclass(frozen=True)
class Target:
    """Where a URL leads.

    Attributes:
        host: In lower case, an address without its brackets.
        plain: Whether it is http.
    """

    host: str
    port: int
    plain: bool

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The host when it is an address."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def is_loopback(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether only this machine reaches it."""
    return any(address in network for network in LOOPBACK)


def is_local_name(host: str) -> bool:
    """Tell whether a name means something inside only."""
    labels = host.lower().split(".")
    return len(labels) == 1 or labels[-1] in _LOCAL_ZONES


def is_never_allowed(network: Network) -> bool:
    """Tell whether no list can make any address of a network right."""
    first, last = network[0], network[-1]
    kinds = (kind for part, kind in _SPECIAL if first in part and last in part)
    return next(kinds, None) in _NEVER


def check_url(url: str, allowed: Sequence[Network] = ()) -> Target:
    """Return where `url` leads, unless it says by itself that nothing may be sent there.

    Args:
        allowed: Networks inside that may be reached.

    Raises:
        EgressRefused: Nothing may be sent there, whatever addresses the host has.
    """
    target = _parsed(url)
    address = target.address
    if address is not None:
        check_address(address, target, allowed)
    else:
        _check_name(target, allowed)
    return target


def _check_name(target: Target, allowed: Sequence[Network]) -> None:
    """Return when some address that the name may have could be dialled."""
    this_machine = target.host == "localhost" or target.host.endswith(".localhost")
    if target.plain and target.host != "localhost":
        raise _plain()
    if this_machine:
        if not any(_overlaps(network, loopback) for network in allowed for loopback in LOOPBACK):
            raise _loopback()
    # What is at this machine has these names; any other may be one of a network that is listed.
    elif all(is_loopback(network[0]) and is_loopback(network[-1]) for network in allowed):
        if is_local_name(target.host):
            raise _inside("is a name that only a local network knows")
        if target.port not in PORTS:
            raise _odd_port()


def check_address(
    address: IPv4Address | IPv6Address, target: Target, allowed: Sequence[Network] = ()
) -> None:
    """Return when `address`, one of those of `target`, may be dialled.

    Raises:
        EgressRefused: It may not.
    """
    kind = _kind(address)
    listed = kind not in _NEVER and any(address in network for network in allowed)
    if kind == "loopback" and not listed:
        raise _loopback()
    if target.plain and kind != "loopback":
        raise _plain()
    if listed:
        return
    if kind is not None:
        raise _inside(f"leads to an address that is {kind}")
    if target.address is None and is_local_name(target.host):
        raise _inside("is a name that only a local network knows")
    if target.port not in PORTS:
        raise _odd_port()


def _parsed(url: str) -> Target:
    """Return what `url` says.

    Stricter than any library that will parse it after this: where two of them might differ, the
    URL is refused.
    """
    match = _URL.fullmatch(url) if url.isascii() and url.isprintable() else None
    if match is None:
        raise EgressRefused("is not a URL" if ":" in url else "is not a web address", _WANTED)
    scheme, authority = match[1].lower(), match[2]
    if "@" in authority:
        raise EgressRefused("holds a user name or a password", "a URL without them")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise EgressRefused("is not a URL", _WANTED)
    port = parts[3] if parts[3] is not None else {"https": "443", "http": "80"}[scheme]
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise EgressRefused("has no port of 1 to 65535", _WANTED)
    host = _ipv6(parts[1]) if parts[1] is not None else _name(parts[2].lower())
    return Target(host, int(port), scheme == "http")


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise EgressRefused("is not a URL", _WANTED) from None
    if address.scope_id:
        raise EgressRefused("names a network interface", _WANTED)
    return str(address)


def _name(host: str) -> str:
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise EgressRefused("names no host", "https://host/path, the host in plain letters")
    if not labels[-1][0].isalpha():
        # 127.1, 0177.0.0.1, 0x7f000001 and 2130706433 are all 127.0.0.1 to some programs.
        try:
            return str(IPv4Address(host))
        except ValueError:
            what = "writes an address in an unusual way"
            raise EgressRefused(what, "four decimal numbers") from None
    return host


def _kind(address: IPv4Address | IPv6Address) -> str | None:
    """Return what is special about an address; None when it is public."""
    if isinstance(address, IPv6Address):
        if address.scope_id:
            return _LINK_LOCAL
        if address in _NAT64:
            inner = _kind(IPv4Address(address.packed[-4:]))
            return inner and _REWRITTEN
    for network, kind in _SPECIAL:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return "reserved"
    return None


def _overlaps(network: Network, other: Network) -> bool:
    return network.version == other.version and network.overlaps(other)


def _plain() -> EgressRefused:
    return EgressRefused("is http outside of this machine", "an https URL")


def _loopback() -> EgressRefused:
    return EgressRefused(
        "leads to this machine",
        f'{_WANTED}, or `allowed_receivers: [127.0.0.0/8, "::1/128"]` at the top of the file',
    )


def _inside(what: str) -> EgressRefused:
    return EgressRefused(what, f"{_WANTED}, or its network in `allowed_receivers`")


def _odd_port() -> EgressRefused:
    return EgressRefused(
        "has a port of other services",
        "port 443 or 8443, or the receiver's network in `allowed_receivers`",
    )
