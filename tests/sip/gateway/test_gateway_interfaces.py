"""Phones whose audio is at another address of this machine than the one they dial."""

from __future__ import annotations

import logging
import socket
from ipaddress import ip_address, ip_network

import pytest
from livekit import api

from sip.gateway.addresses import is_allowed
from sip.gateway.interfaces import know_interfaces
from tests.peers.calls import new_number
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.room_side import agent_for
from tests.sip.gateway.sip_phone import calling_from, tone
from thirdring.access import LiveKitAccess

LOOPBACK = "127.0.0.1"


def network_address() -> str:
    """Return this machine's address on its network, loopback when it is on none."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return LOOPBACK
        return str(probe.getsockname()[0])


NETWORK = network_address()


@pytest.mark.server
@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param((LOOPBACK, LOOPBACK, NETWORK), id="audio-beyond-loopback"),
        pytest.param((LOOPBACK, NETWORK, NETWORK), id="all-beyond-loopback"),
        pytest.param((NETWORK, NETWORK, LOOPBACK), id="audio-on-loopback"),
    ],
)
async def test_audio_passes_whatever_own_address_a_phone_names(
    run_gateway: RunGateway,
    server: api.LiveKitAPI,
    access: LiveKitAccess,
    addresses: tuple[str, str, str],
) -> None:
    """Both ends hear each other, though the phone is not at the address that it dials."""
    host, phone_host, media_host = addresses
    caller = new_number()
    async with (
        run_gateway(host=host, allowed=(host,)) as at,
        calling_from(phone_host, (host, at.port), caller=caller, media_host=media_host) as phone,
    ):
        phone.voice = tone(3000)
        phone.invite(LINE)
        async with agent_for(server, access, caller) as agent:
            assert (await phone.final()).status == 200
            await agent.until(lambda: agent.loudest > 8000)
            await agent.say_tone(0.3)
            await phone.hears(0, 60)


def test_an_own_address_is_loopback_only_to_a_gateway_on_loopback() -> None:
    """A gateway on the network goes by what the packet says, as does one that is told who calls."""
    own, stranger = ip_address(NETWORK), ip_address("203.0.113.1")
    loopback = [ip_network("127.0.0.0/8")]
    assert is_allowed([own], loopback, listening=LOOPBACK)
    assert not is_allowed([own, stranger], loopback, listening=LOOPBACK)
    assert not is_allowed([own], [ip_network("198.51.100.0/24")], listening=LOOPBACK)
    assert is_allowed([own], loopback, listening="0.0.0.0") == own.is_loopback


def test_a_build_without_the_function_says_what_a_phone_must_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Calls to the listening address still work, so that is a warning and no error."""
    with caplog.at_level(logging.WARNING):
        assert not know_interfaces(__file__)
    assert "-n 127.0.0.1" in caplog.text
