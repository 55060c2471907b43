"""Phones that others wrote call the whole line: SIP side, livekit-server, worker, model, record."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.parts.stack import Stack
from tests.peers.calls import new_number, wait_for_record
from tests.peers.phones import needs_baresip, needs_sipp, sipp, softphone
from thirdring.calls import EndReason, Role

pytestmark = [pytest.mark.server, pytest.mark.sip, pytest.mark.timeout(60)]


@needs_sipp
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["UDP", "TCP"])
async def test_a_call_by_sipp_is_answered_and_recorded(
    each_side: Stack, tmp_path: Path, transport: str
) -> None:
    """A PCMA-only caller is answered with PCMA by either transport, and the record says so."""
    caller = new_number()
    _, port = each_side.sip_address
    await sipp(
        "call.xml", port, tmp_path, transport=transport, number=each_side.number, caller=caller
    )
    record = await wait_for_record(each_side, caller)
    assert (record.called_number, record.ending.reason) == (
        each_side.number,
        EndReason.CALLER_HUNG_UP,
    )
    assert record.answered_at is not None


@needs_baresip
@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_softphone_hears_the_greeting_and_is_recorded(
    each_side: Stack, tmp_path: Path, codec: str, transport: str
) -> None:
    """Debian's baresip hears a second of speech or more; its call is delivered."""
    caller = new_number()
    host, port = each_side.sip_address
    target = f"sip:{each_side.number}@{host}:{port};transport={transport}"
    async with softphone(tmp_path, target, caller=caller, codec=codec, tone=False) as phone:
        await phone.has_listened(4)
        await phone.hang_up()
    record = await wait_for_record(each_side, caller)
    assert record.ending.reason is EndReason.CALLER_HUNG_UP
    assert record.turns[0].role is Role.AGENT
    assert phone.heard() > 1
