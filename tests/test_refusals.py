"""Calls that no line takes, as livekit-sip would bring them."""

from __future__ import annotations

import asyncio

import pytest

from local.parts.stack import Stack
from tests.peers.room_phone import room_phone

pytestmark = pytest.mark.server

_CALL = {
    "sip.callID": "SCL_refused",
    "sip.callStatus": "active",
    "sip.phoneNumber": "+12025550198",
    "sip.trunkPhoneNumber": "+12025550142",
}


@pytest.mark.parametrize(
    ("name", "changed", "metadata", "field"),
    [
        ("unknown", {"sip.trunkPhoneNumber": "+12025550177"}, "", "sip.trunkPhoneNumber"),
        ("hidden", {"sip.trunkPhoneNumber": ""}, "", "sip.trunkPhoneNumber"),
        ("text", {}, "not json", "metadata: is not JSON"),
        ("type", {}, '{"line": 12025550142}', "metadata.line"),
        ("big", {}, '{"notes": "' + "x" * 20_000 + '"}', "metadata: is 20013 bytes"),
    ],
)
async def test_a_call_without_a_line_hears_so_and_ends(
    stack: Stack, name: str, changed: dict[str, str], metadata: str, field: str
) -> None:
    """Not in service: said, ended within 4 s, and the log names the field."""
    attributes = {**_CALL, "sip.callID": f"SCL_refused_{name}", **changed}
    async with room_phone(
        stack.environ, f"call-refused-{name}", attributes=attributes, metadata=metadata
    ) as phone:
        async with asyncio.timeout(4):
            await phone.gone
        assert phone.sound.is_set()
    log = stack.log_paths["worker"].read_text(encoding="utf-8")
    assert any("call refused" in line and field in line for line in log.splitlines())
