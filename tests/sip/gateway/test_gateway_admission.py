"""Who may call, and where the gateway listens."""

from __future__ import annotations

import logging
import socket
import time
from ipaddress import ip_address, ip_network

import pytest
from livekit import api
from pydantic import SecretStr

from sip.gateway import GatewayAddress
from sip.gateway.addresses import allowed_networks, free_port, is_allowed
from sip.gateway.trace import Invite, invite_in
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.room_side import room_of, until_gone
from tests.sip.gateway.sip_phone import calling_from
from thirdring.access import LiveKitAccess
from thirdring.errors import ConfigError, PartError
from thirdring.settings import GatewaySettings

INVITE = (
    "RX UDP 192.0.2.7:5066 -> 127.0.0.1:5060\n"
    "INVITE sip:+12025550142@127.0.0.1 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 10.0.0.1:5066;received=10.0.0.2\r\n"
    "i: first@host \r\n"
    "Call-ID: second@host\r\n"
    "\r\n"
    "RX UDP 127.0.0.1:1 -> 127.0.0.1:5060\n"
    "Call-ID: third@host\n"
    "c=IN IP4 10.0.0.1\r\n"
    "m=audio 4000 RTP/AVP 0\r\n"
    "m=video 4002 RTP/AVP 96\r\n"
    "c=IN IP4 0.0.0.0\r\n"
)


def test_the_source_of_an_invite_is_what_the_network_showed() -> None:
    """Via, and text in the body that looks like a trace, count for nothing."""
    call_ids = ("first@host", "second@host")
    source, audio_at = ip_address("192.0.2.7"), ip_address("10.0.0.1")
    assert invite_in(INVITE) == Invite("INVITE", call_ids, source, True, audio_at)


@pytest.mark.parametrize(
    ("session", "stream", "holds"),
    [
        ("c=IN IP4 0.0.0.0\n", "", True),
        ("c=IN IP4 10.0.0.1\n", "c=IN IP4 0.0.0.0\n", True),
        ("c=IN IP4 0.0.0.0\n", "c=IN IP4 10.0.0.1\n", False),
        ("c=IN IP4 phone.example\n", "", False),
        ("c=IN IP4 0.0.0.0.0\n", "", False),
        ("", "", False),
    ],
)
def test_a_hold_is_the_address_of_the_audio_stream(
    session: str, stream: str, *, holds: bool
) -> None:
    """Its own c= line counts before that of the session, and that of a video stream never."""
    head = INVITE.partition("\r\n\r\n")[0]
    sdp = f"v=0\n{session}m=audio 4000 RTP/AVP 0\n{stream}m=video 0 RTP/AVP 96\nc=IN IP4 0.0.0.0\n"
    invite = invite_in(f"{head}\r\n\r\n{sdp}")
    assert invite is not None
    assert invite.holds is holds


def test_no_packet_takes_long_to_read() -> None:
    """One made to be searched over and over takes milliseconds: audio waits for whoever reads."""
    spaces = "i: a" + "\t " * 3500 + "x"
    record = INVITE.replace("Call-ID: second@host", spaces)
    begun = time.process_time()
    for _ in range(10):
        assert invite_in(record) is not None
    assert time.process_time() - begun < 3


def test_an_ipv4_caller_on_an_ipv6_socket_is_known_by_its_ipv4_address() -> None:
    """`::ffff:192.0.2.7` is 192.0.2.7, so that allowed networks mean what they say."""
    record = INVITE.replace("192.0.2.7:5066", "[::ffff:192.0.2.7]:5066")
    assert invite_in(record) == invite_in(INVITE)


@pytest.mark.parametrize(
    "record",
    [
        INVITE.replace("RX UDP", "TX UDP"),
        INVITE.replace("INVITE", "OPTIONS"),
        INVITE.replace("192.0.2.7", "192.0.2.777"),
        "RX UDP 192.0.2.7:5066 -> 127.0.0.1:5060 (20000 bytes, too large to trace)",
        "",
    ],
)
def test_other_records_name_no_source(record: str) -> None:
    """Only an INVITE that came in, from an address that is one, is taken."""
    assert invite_in(record) is None


def test_a_call_needs_every_source_allowed_and_at_least_one() -> None:
    """An address that borrows the Call-ID of an allowed one spoils the call; none known refuses."""
    networks = [ip_network("127.0.0.0/8"), ip_network("2001:db8::/32")]
    assert is_allowed([ip_address("127.0.0.2"), ip_address("2001:db8::1")], networks)
    assert not is_allowed([ip_address("127.0.0.2"), ip_address("192.0.2.1")], networks)
    assert not is_allowed([], networks)


def test_it_listens_for_others_only_with_allowed_addresses() -> None:
    """Loopback alone needs none; anything else without them is refused with the key to set."""
    assert ip_network("127.0.0.0/8") in allowed_networks(GatewaySettings())
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(ConfigError, match=r"gateway\.allowed_addresses"):
            allowed_networks(GatewaySettings(host=host))
    with pytest.raises(ConfigError, match=r"gateway\.listen"):
        allowed_networks(GatewaySettings(host="localhost"))
    office = (ip_network("192.0.2.0/24"),)
    assert allowed_networks(GatewaySettings(host="0.0.0.0", allowed_addresses=office)) == office


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["UDP", "TCP"])
def test_an_occupied_port_is_one_clear_error(kind: socket.SocketKind) -> None:
    """Whichever half of the port is taken, the message names it."""
    with socket.socket(type=kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PartError, match=f"127.0.0.1:{port}"):
            free_port("127.0.0.1", port)


def test_addresses_are_written_as_sip_wants_them() -> None:
    """IPv6 goes in brackets (RFC 3261 section 19.1.1)."""
    assert GatewayAddress("::1", 5060).uri(LINE) == f"sip:{LINE}@[::1]:5060"
    assert str(GatewayAddress("127.0.0.1", 5080)) == "127.0.0.1:5080"


@pytest.mark.server
async def test_a_caller_from_elsewhere_is_refused_before_any_room_exists(
    run_gateway: RunGateway, server: api.LiveKitAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """127.0.0.1 is turned away, 127.0.0.2 gets its room."""
    async with run_gateway(allowed=("127.0.0.2/32",)) as address:
        gateway = (address.host, address.port)
        with caplog.at_level(logging.DEBUG):
            async with calling_from("127.0.0.1", gateway, caller="+15550150") as phone:
                phone.invite(LINE)
                assert (await phone.final()).status == 486
        rooms = (await server.room.list_rooms(api.ListRoomsRequest())).rooms
        assert not [room for room in rooms if "+15550150" in room.name]
        assert "+15550150" not in caplog.text
        async with calling_from("127.0.0.2", gateway, caller="+15550151") as phone:
            phone.invite(LINE)
            room = await room_of(server, "+15550151")
            phone.cancel()
            await phone.final()
            await until_gone(server, room)


@pytest.mark.server
async def test_options_to_a_line_tell_that_the_gateway_is_up(run_gateway: RunGateway) -> None:
    """OPTIONS is answered 200 for a line and 404 for any other number."""
    async with run_gateway() as address:
        gateway = (address.host, address.port)
        for number, status in ((LINE, 200), ("+12025550199", 404)):
            async with calling_from("127.0.0.1", gateway) as phone:
                phone.options(number)
                assert (await phone.final()).status == status


@pytest.mark.server
async def test_a_call_is_refused_while_livekit_server_is_away(
    run_gateway: RunGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """486 to the caller, one line in the log that says what to look at; the gateway lives on."""
    away = LiveKitAccess(url="ws://127.0.0.1:9", api_key="k", api_secret=SecretStr("s" * 32))
    async with run_gateway(access=away) as address:
        for _ in range(2):
            async with calling_from("127.0.0.1", (address.host, address.port)) as phone:
                phone.invite(LINE)
                assert (await phone.final()).status == 486
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert ["LIVEKIT_URL" in record.getMessage() for record in errors] == [True, True]
    assert not [record for record in caplog.records if record.exc_info]
