"""Whatever arrives at the port, the next caller is answered.

The cases are those of RFC 4475, section numbers beside them, and some ruder ones.
"""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from livekit import api

from sip.gateway import Patience
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.room_side import agent_for
from tests.sip.gateway.sip_phone import calling_from
from thirdring.access import LiveKitAccess

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\n"
)


def message(number: int, changes: dict[str, str | None], *, body: str = SDP) -> bytes:
    """Return an INVITE with some headers replaced, or left out where None; Latin-1 as it is."""
    first = changes.pop("first", f"INVITE sip:{LINE}@127.0.0.1 SIP/2.0")
    headers: dict[str, str | None] = {
        "Via": f"SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKtorture{number}",
        "Max-Forwards": "70",
        "From": f"<sip:+1555016{number:04d}@127.0.0.1>;tag=t{number}",
        "To": f"<sip:{LINE}@127.0.0.1>",
        "Call-ID": f"torture-{number}@127.0.0.1",
        "CSeq": "1 INVITE",
        "Contact": "<sip:torture@127.0.0.1:9>",
        "Content-Type": "application/sdp",
        "Content-Length": str(len(body)),
        **changes,
    }
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([str(first), *lines, "", body]).encode("latin-1")


CASES: list[dict[str, str | None]] = [
    {
        "TO": " sip:x@y ;\r\n  tag = 1\t;q",
        "v": "SIP / 2.0\r\n / UDP  192.0.2.2 ;branch=1",
    },  # 3.1.1.1
    {"first": "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual@a SIP/2.0"},  # 3.1.1.2
    {"From": "<sip:null-%00-null@example.com>;tag=1"},  # 3.1.1.4
    {"X-Long": "a" * 8000, **{f"X-Unknown-{n}": "b" for n in range(150)}},  # 3.1.1.7
    {"Via": None, "From": None, "Call-ID": None},  # 3.3.1
    {"Via": "SIP/2.0/UDP 127.0.0.1;;,;,,", "Contact": '"";;;,;'},  # 3.1.2.1
    {"Content-Length": "9999"},  # 3.1.2.2
    {"Content-Length": "-999"},  # 3.1.2.3
    {"CSeq": "36893488147419103232 INVITE", "Max-Forwards": "300"},  # 3.1.2.4
    {"To": '"Mr. J. User <sip:j.user@example.com>'},  # 3.1.2.6
    {"first": "INVITE <sip:user@example.com> SIP/2.0"},  # 3.1.2.7
    {"first": f"INVITE sip:{LINE}@127.0.0.1; lr SIP/2.0"},  # 3.1.2.8
    {"first": f"INVITE  sip:{LINE}@127.0.0.1  SIP/2.0"},  # 3.1.2.9
    {"first": f"INVITE sip:{LINE}@127.0.0.1 SIP/7.0"},  # 3.1.2.16
    {"CSeq": "1 OPTIONS"},  # 3.1.2.17
    {"first": "INVITE nobodyKnowsThisScheme:opaque SIP/2.0"},  # 3.3.2
    {"Require": "nothing-at-all", "Proxy-Require": "noProxies"},  # 3.3.7
    {"Content-Type": "application/unknown"},  # 3.3.6
    {"From": '"J\xf6rg\xff\xfe" <sip:+1555\xff\xfe@127.0.0.1>;tag=\xff', "Call-ID": "\xff\xfe"},
    {"From": f"<sip:{'9' * 3000}@127.0.0.1>;tag={'t' * 3000}", "Call-ID": "c" * 3000},
]
BODIES = ["", "v=0", "m=audio 99999999 RTP/AVP 0\r\n", SDP.replace("IP4", "IP9"), "\xff\x00" * 500]
RUDE = [
    b"",
    b"\r\n\r\n",
    b"\x00" * 1000,
    bytes(range(256)) * 200,
    b"INVITE",
    b"SIP/2.0 200 OK\r\n\r\n",
]


def torture(address: tuple[str, int]) -> None:
    """Send everything by UDP, and everything by TCP."""
    messages = [message(n, dict(case)) for n, case in enumerate(CASES)]
    messages += [message(100 + n, {}, body=body) for n, body in enumerate(BODIES)]
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        for each in [*messages, *RUDE]:
            datagrams.sendto(each, address)
    for each in [*messages, *RUDE]:
        with socket.create_connection(address, timeout=5) as connection:
            connection.sendall(each.replace(b"/UDP", b"/TCP").replace(b"torture", b"tcp-torture"))


async def test_malformed_messages_harm_nobody_else(
    run_gateway: RunGateway,
    server: api.LiveKitAPI,
    access: LiveKitAccess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After all of them a call is answered, and no error of ours was logged."""
    caplog.set_level(logging.INFO)
    async with run_gateway(max_calls=200, patience=Patience(agent=0.3)) as address:
        gateway = (address.host, address.port)
        await asyncio.to_thread(torture, gateway)
        async with calling_from("127.0.0.1", gateway, caller="+15550169") as phone:
            phone.invite(LINE)
            async with agent_for(server, access, "+15550169") as agent:
                assert (await phone.final()).status == 200
                await agent.until(lambda: agent.statuses == ["active"])
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
    assert [one for one in caplog.records if one.exc_info] == []
