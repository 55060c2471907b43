"""Where the gateway listens, and who may call it."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from thirdring.errors import ConfigError, PartError, Problem
from thirdring.settings import GatewaySettings

__all__ = [
    "GatewayAddress",
    "IPAddress",
    "IPNetwork",
    "allowed_networks",
    "free_port",
    "is_allowed",
]

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_LOOPBACK: tuple[IPNetwork, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True)
class GatewayAddress:
    """Where a running gateway takes calls, by UDP and TCP alike."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def uri(self, number: str) -> str:
        """Return what to dial for `number`.

        An OPTIONS request (RFC 3261 section 11) to it is answered 200 while the gateway is up.
        """
        return f"sip:{number}@{self}"


def allowed_networks(gateway: GatewaySettings) -> tuple[IPNetwork, ...]:
    """Return the networks that may call.

    Raises:
        ConfigError: The host is no IP address, or others than this machine could call and nobody
            said who may.
    """
    try:
        host = ip_address(gateway.host)
    except ValueError:
        raise _refusal(
            gateway, "gateway.listen", "is not an IP address", "an address such as 127.0.0.1"
        ) from None
    if gateway.allowed_addresses:
        return gateway.allowed_addresses
    if host.is_loopback:
        return _LOOPBACK
    raise _refusal(
        gateway,
        "gateway.allowed_addresses",
        "is empty, so anybody who reaches this address could call",
        "the networks that may call, such as [192.168.1.0/24], or listen: 127.0.0.1:5060",
    )


def _refusal(gateway: GatewaySettings, path: str, what: str, expected: str) -> ConfigError:
    problem = Problem(
        file="thirdring.yaml",
        line=0,
        column=0,
        path=path,
        what=what,
        got=gateway.host,
        expected=expected,
    )
    return ConfigError([problem])


def is_allowed(
    sources: Iterable[IPAddress], networks: Iterable[IPNetwork], *, listening: str = ""
) -> bool:
    """Tell whether every source is in some network; no source at all is not allowed.

    Args:
        listening: On a loopback address, another of this machine's own addresses counts as
            loopback: a softphone that is bound to its network address sends from that even here.
    """
    known = tuple(sources)
    allowed = tuple(networks)
    at_home = bool(listening) and ip_address(listening).is_loopback

    def is_one_allowed(source: IPAddress) -> bool:
        known_as = {source}
        if at_home and is_own(source):
            known_as.add(ip_address("::1" if source.version == 6 else "127.0.0.1"))
        return any(address in network for address in known_as for network in allowed)

    return bool(known) and all(is_one_allowed(source) for source in known)


def is_own(address: IPAddress) -> bool:
    """Tell whether an address is one of this machine."""
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
        return True


def free_port(host: str, port: int) -> int:
    """Return `port`, or a free one when it is 0, after trying it for both UDP and TCP.

    Raises:
        PartError: Somebody else has the port, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(50):
        with (
            socket.socket(family, socket.SOCK_DGRAM) as datagrams,
            socket.socket(family, socket.SOCK_STREAM) as connections,
        ):
            connections.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                datagrams.bind((host, port))
                taken = int(datagrams.getsockname()[1])
                connections.bind((host, taken))
            except OSError as error:
                if port == 0 and error.errno is not None and _may_be_free_elsewhere(datagrams):
                    continue
                raise PartError(
                    f"the SIP gateway cannot listen on {host}:{port} ({error.strerror}); stop what "
                    "uses it (`ss -lntup` shows it) or change gateway.listen in thirdring.yaml"
                ) from error
            return taken
    raise PartError(f"the SIP gateway found no port of {host} that is free for both UDP and TCP")


def _may_be_free_elsewhere(datagrams: socket.socket) -> bool:
    """Tell whether only the TCP half failed, so that another port can do."""
    return bool(datagrams.getsockname()[1])
