"""What a call must not leave open, and what it must not trip over."""

from __future__ import annotations

import asyncio
import json

import pytest
from livekit import rtc

from tests.peers.scripted_model import ScriptedModel
from tests.peers.whole_call import Calls
from thirdring.errors import StoreError
from thirdring.journal import DigitPressed, Ended
from thirdring.state import CallState

pytestmark = pytest.mark.server


async def test_what_is_no_key_is_no_digit(
    calling: Calls, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """A browser may send any text as a digit: it is left out, and nothing fails."""
    async with calling() as call:
        await call.answer()
        pressed = asyncio.Event()

        def note(dtmf: rtc.SipDTMF) -> None:
            if dtmf.digit == "1":
                pressed.set()

        call.job.ctx.room.on("sip_dtmf_received", note)
        for digit in ("hello", "", "a", "1"):
            await call.phone.room.local_participant.publish_dtmf(code=1, digit=digit)
        await asyncio.wait_for(pressed.wait(), 20)
        entries = await call.hang_up()
    assert [e.digit for e in entries if isinstance(e, DigitPressed)] == ["1"]
    assert "failed to emit event" not in caplog.text


async def test_the_store_is_closed_with_the_call(calling: Calls, model: ScriptedModel) -> None:
    """No connection outlives the call that opened it."""
    async with calling() as call:
        await call.answer()
        state: CallState = call.session.userdata
        await call.hang_up()
    with pytest.raises(StoreError):
        await state.store.read(lambda connection: connection.execute("SELECT 1"))


async def test_why_a_call_was_refused_is_one_short_line(calling: Calls) -> None:
    """Whatever a dispatcher sends, the record's detail can be read, and stored."""
    async with calling(metadata=json.dumps({"x\n" * 3000: 1})) as call:
        await call.job.answer()
        entries = await call.job.finish()
    last = entries[-1]
    assert isinstance(last, Ended)
    assert last.ending.detail is not None
    assert last.ending.detail.startswith("metadata.x x x")
    assert len(last.ending.detail) == 300
