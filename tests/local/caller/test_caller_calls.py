"""Whole calls over real sockets."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from local.caller import CallEvent, CallNotAsPlanned, Script, open_call, place_call
from local.caller.g711 import Samples
from local.caller.placing import CallResult
from local.caller.sdp import Codec, audio_offer
from local.caller.sip_message import SipUriError
from local.caller.voice import tone
from tests.local.caller.answering_peer import AnsweringPeer, Manners, answering_peer


class BeepVoice:
    """Says every text as 200 ms of tone."""

    def speak(self, text: str) -> Samples:
        return tone(600, 200)


def script(*steps: object, rtp: bool = True) -> Script:
    return Script.model_validate({"steps": steps, "rtp": rtp})


async def call(
    peer: AnsweringPeer, script: Script, events: list[CallEvent] | None = None
) -> CallResult:
    listener = None if events is None else events.append
    return await place_call(peer.uri, script, voice=BeepVoice(), on_event=listener)


HANG_UP = {"hang_up": True}


async def test_a_call_is_signalled_as_rfc_3261_wants_it() -> None:
    """An answered call is INVITE, ACK and BYE, and each is told live with its direction."""
    events: list[CallEvent] = []
    async with answering_peer(Manners()) as peer:
        result = await call(peer, script(HANG_UP), events)
    assert peer.methods() == ["INVITE", "ACK", "BYE"]
    ladder = [(e.data["direction"], e.data["message"]) for e in events if e.event == "sip"]
    assert ladder == [
        ("out", "INVITE"),
        ("in", "180 Ringing"),
        ("in", "200 OK"),
        ("out", "ACK"),
        ("out", "BYE"),
        ("in", "200 OK"),
    ]
    assert (result.completed, result.ended_by) == (True, "caller")


async def test_a_lost_invite_is_sent_again() -> None:
    """An INVITE without any answer is repeated after T1."""
    async with answering_peer(Manners(ignored_invites=1)) as peer:
        result = await call(peer, script(HANG_UP))
    assert peer.methods().count("INVITE") == 2
    assert result.completed


async def test_a_repeated_answer_is_acknowledged_again() -> None:
    """Each 200 gets an ACK, or the far end would end the call."""
    async with answering_peer(Manners(repeats_answer=True)) as peer, open_call(peer.uri) as live:
        await live.wait_for_answer()
        await peer.until("ACK", 2)


async def test_a_refused_call_carries_its_status() -> None:
    """A 486 is acknowledged and told as a call that was not as planned."""
    async with answering_peer(Manners(status=486, reason="Busy Here")) as peer:
        result = await call(peer, script(HANG_UP))
        await peer.until("ACK")
    assert (result.completed, result.status, result.ended_by) == (False, 486, None)
    assert result.problem == "the call was refused: 486 Busy Here"


async def test_leaving_a_ringing_call_cancels_it() -> None:
    """Hanging up before the answer is a CANCEL, and its 487 is acknowledged."""
    async with answering_peer(Manners(answers=False)) as peer:
        async with open_call(peer.uri):
            await peer.until("INVITE")
        await peer.until("ACK")
    assert peer.methods() == ["INVITE", "CANCEL", "ACK"]


async def test_the_far_end_may_hang_up() -> None:
    """A BYE from the far end is answered and ends `wait_hang_up`."""
    async with answering_peer(Manners()) as peer, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(call(peer, script({"wait_hang_up": 10})))
        await peer.until("ACK")
        peer.ask("BYE")
        result = await running
    assert (result.completed, result.ended_by) == (True, "far_end")
    assert peer.responses[-1].status == 200


async def test_a_call_that_ends_too_early_is_not_as_planned() -> None:
    """A step that the far end's BYE cuts short says what it was."""
    async with answering_peer(Manners()) as peer, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(call(peer, script({"pause_ms": 60_000})))
        await peer.until("ACK")
        peer.ask("BYE")
        result = await running
    assert result.problem == "the far end hung up while the caller was silent"


async def test_questions_inside_a_call_are_answered() -> None:
    """OPTIONS and INFO get 200, what we cannot do gets 405, and the call goes on."""
    async with answering_peer(Manners()) as peer, open_call(peer.uri) as live:
        await live.wait_for_answer()
        for number, method in enumerate(("OPTIONS", "INFO", "REFER"), start=1):
            peer.changed.clear()
            peer.ask(method, sequence=number)
            async with asyncio.timeout(10):
                while len(peer.responses) < number:
                    peer.changed.clear()
                    await peer.changed.wait()
        assert [response.status for response in peer.responses] == [200, 200, 405]
        assert not live.ended.done()


async def test_a_re_invite_moves_our_audio() -> None:
    """After a re-INVITE our packets go to the new address."""
    async with answering_peer(Manners()) as peer, open_call(peer.uri) as live:
        await live.wait_for_answer()
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[None] = loop.create_future()

        class Elsewhere(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:
                if not arrived.done():
                    arrived.set_result(None)

        transport, _ = await loop.create_datagram_endpoint(Elsewhere, local_addr=("127.0.0.1", 0))
        address = transport.get_extra_info("sockname")
        peer.ask("INVITE", audio_offer(*address, session_id=1, version=2))
        async with asyncio.timeout(10):
            await arrived
        transport.close()
    assert peer.responses[0].status == 200


@pytest.mark.parametrize("codec", list(Codec))
async def test_both_sides_hear_each_other(codec: Codec, tmp_path: Path) -> None:
    """What each side plays is in the recording: the caller left, the agent right."""
    steps = script({"wait": {"silence_ms": 100}}, {"say": "beep"}, {"pause_ms": 100}, HANG_UP)
    async with answering_peer(Manners(greeting=tone(440, 300), codec=codec)) as peer:
        path = tmp_path / "calls" / "recording.wav"
        result = await place_call(peer.uri, steps, voice=BeepVoice(), recording=path)
    assert result.completed
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        stereo = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    caller, agent = (np.flatnonzero(np.abs(side.astype(int)) > 1000) for side in stereo.T)
    assert len(caller) == pytest.approx(1600, rel=0.2)
    assert len(agent) == pytest.approx(2400, rel=0.2)
    assert agent[-1] < caller[0]


async def test_an_interruption_is_measured() -> None:
    """Speaking over an agent gives the time until it was silent."""
    steps = script({"interrupt": {"after_ms": 200, "say": "stop"}}, {"pause_ms": 700}, HANG_UP)
    async with answering_peer(Manners(greeting=tone(440, 9000), reflex=True)) as peer:
        result = await call(peer, steps)
    (turn,) = result.measures.turns
    assert turn.interrupted_agent
    assert turn.barge_in_ms is not None
    assert 0 < turn.barge_in_ms < 5000


async def test_keys_arrive_as_telephone_events() -> None:
    """Pressed keys are told to the agent, and measured as something the caller did."""
    async with answering_peer(Manners()) as peer:
        result = await call(peer, script({"press": "1#"}, HANG_UP))
    assert [(turn.kind, turn.text) for turn in result.measures.turns] == [("press", "1#")]


async def test_without_rtp_nothing_is_sent_until_something_is_said() -> None:
    """A caller whose phone suppresses silence sends its first packet with its first word."""
    steps = script({"stay_silent": {"seconds": 0.3, "rtp": False}}, HANG_UP, rtp=False)
    async with answering_peer(Manners()) as peer:
        result = await call(peer, steps)
    assert result.measures.pacing is None
    assert peer.heard == []


async def test_waiting_for_an_agent_that_says_nothing_fails() -> None:
    """A wait that is in vain says for what, and how long."""
    steps = script({"wait": {"agent_speaks": True, "timeout_s": 0.2}})
    async with answering_peer(Manners()) as peer:
        result = await call(peer, steps)
    assert result.problem == "waited 0.2 s in vain for the agent to speak"


async def test_a_port_without_a_listener_is_told_at_once() -> None:
    """Calling where nobody listens does not wait for 32 s of INVITEs."""
    async with answering_peer(Manners()) as peer:
        uri = peer.uri
    async with open_call(uri) as live:
        with pytest.raises(CallNotAsPlanned, match="nobody listens"):
            await live.wait_for_answer(timeout=20)


async def test_another_transport_than_udp_is_refused() -> None:
    """An address that needs TCP or TLS is an error, not a call by UDP."""
    with pytest.raises(SipUriError, match="UDP only"):
        await call_nowhere("sip:1@127.0.0.1;transport=tcp")


async def call_nowhere(target: str) -> None:
    await place_call(target, script(HANG_UP))


async def test_sent_packets_keep_their_pace() -> None:
    """Packets leave every 20 ms: as many as the call is long, and never before they are due."""
    async with answering_peer(Manners()) as peer, open_call(peer.uri) as live:
        await live.wait_for_answer()
        await live.play(tone(500, 500), "tone")
        sent = live.log().sent
    assert np.diff([packet.due for packet in sent]) == pytest.approx(0.02)
    assert all(packet.at >= packet.due for packet in sent)
