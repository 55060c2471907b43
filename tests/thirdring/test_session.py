"""The session of a call: how it hears, when its first words pass, which tools it offers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, ModelSettings

from tests.peers.scripted_model import ScriptedModel, scripted_model
from tests.samples import LINE, business, opened
from thirdring import session, workflow
from thirdring.agents import first_agent
from thirdring.calls import LegKind
from thirdring.session import PhoneAgent, PhoneRealtimeModel
from thirdring.settings import Business, Limits, Line, TurnTaking
from thirdring.state import CallState
from thirdring.workflow import Workflow

HANG = 20.0
CLINIC = workflow.discover()["patient_questions"]
TWENTY_MS = 960
"""Bytes at 24 kHz."""


@pytest.fixture
async def model(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedModel]:
    """Start what the sessions talk to."""
    async with scripted_model() as running:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", running.server.url)
        yield running


def silence(milliseconds: int) -> rtc.AudioFrame:
    samples = 24 * milliseconds
    return rtc.AudioFrame(bytes(2 * samples), 24_000, 1, samples)


def realtime_model(
    played: Workflow, *, line: Line = LINE, of: Business | None = None
) -> PhoneRealtimeModel:
    """Return the model that a call of this workflow talks to."""
    store: Any = None
    state = CallState(business=of or business(), line=line, leg=opened().leg, store=store)
    built = session.agent_session(line, played, state).llm
    assert isinstance(built, PhoneRealtimeModel)
    return built


@pytest.mark.parametrize("frame_ms", [10, 20, 50, 100])
async def test_audio_leaves_20_ms_at_a_time(model: ScriptedModel, frame_ms: int) -> None:
    """However it comes, each append holds 960 bytes."""
    realtime = realtime_model(CLINIC)
    connection = realtime.session()
    for _ in range(400 // frame_ms):
        connection.push_audio(silence(frame_ms))
    await model.hears(400)
    await connection.aclose()
    await realtime.aclose()
    assert model.appended == [TWENTY_MS] * 20


EAGER = TurnTaking(kind="semantic_vad", eagerness="high")
PATIENT = TurnTaking(kind="server_vad", threshold=0.6, prefix_padding_ms=200, silence_ms=450)
PATIENT_AS_SENT = {
    "type": "server_vad",
    "threshold": 0.6,
    "prefix_padding_ms": 200,
    "silence_duration_ms": 450,
}


@pytest.mark.parametrize(
    ("of_line", "of_workflow", "expected"),
    [
        (None, EAGER, {"type": "semantic_vad", "eagerness": "high"}),
        (None, PATIENT, PATIENT_AS_SENT),
        (PATIENT, EAGER, PATIENT_AS_SENT),
        (TurnTaking(), PATIENT, {"type": "semantic_vad", "eagerness": "medium"}),
    ],
)
async def test_turns_are_told_as_the_line_says_or_else_the_workflow(
    model: ScriptedModel,
    of_line: TurnTaking | None,
    of_workflow: TurnTaking,
    expected: dict[str, object],
) -> None:
    """The server gets the kind, its figures, and that speech stops the agent."""
    realtime = realtime_model(
        CLINIC.model_copy(update={"turn_taking": of_workflow}),
        line=LINE.model_copy(update={"turn_taking": of_line}),
    )
    connection = realtime.session()
    connection.push_audio(silence(100))
    await model.hears(100)
    await connection.aclose()
    await realtime.aclose()
    got = model.detections[-1]
    assert got is not None
    common = {"interrupt_response": True, "create_response": True}
    assert expected.items() | common.items() <= got.model_dump().items()


SHORT = Limits(reply_tokens=150)
SHORTER = Limits(reply_tokens=80)


@pytest.mark.parametrize(
    ("cap", "of_line", "of_business", "expected"),
    [
        (None, Limits(), Limits(), "inf"),
        (200, Limits(), Limits(), 200),
        (200, Limits(), SHORT, 150),
        (200, SHORTER, SHORT, 80),
        (None, SHORTER, Limits(), 80),
    ],
)
async def test_the_server_is_told_how_long_a_reply_may_be(
    model: ScriptedModel, cap: int | None, of_line: Limits, of_business: Limits, expected: object
) -> None:
    """The line decides, then its business, then the workflow; on every connection anew."""
    realtime = realtime_model(
        CLINIC.model_copy(update={"reply_tokens": cap}),
        line=LINE.model_copy(update={"limits": of_line}),
        of=business().model_copy(update={"limits": of_business}),
    )
    connection = realtime.session()
    caps: asyncio.Queue[object] = asyncio.Queue()

    def take(event: dict[str, Any]) -> None:
        if event["type"] == "session.updated":
            caps.put_nowait(event["session"]["max_output_tokens"])

    connection.on("openai_server_event_received", take)
    async with asyncio.timeout(HANG):
        first = await caps.get()
        await model.server.close()
        after_reconnect = await caps.get()
    await connection.aclose()
    await realtime.aclose()
    assert (first, after_reconnect) == (expected, expected)


async def test_a_failed_session_closes_all_the_same(
    model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens there any more: closing raises nothing."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    realtime = realtime_model(CLINIC)
    connection = realtime.session()
    failures: asyncio.Queue[bool] = asyncio.Queue()
    connection.on("error", lambda event: failures.put_nowait(event.recoverable))
    async with asyncio.timeout(HANG):
        while await failures.get():
            pass
    await connection.aclose()
    await realtime.aclose()


async def test_a_silent_endpoint_does_not_keep_a_session_open(
    model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and never answers; closing gives that up long before the client."""
    came, over = asyncio.Event(), asyncio.Event()

    async def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
        # Its two tries would take this long each.
        patience = APIConnectOptions(max_retry=1, timeout=HANG * 5)
        monkeypatch.setattr(session, "APIConnectOptions", lambda **_: patience)
        realtime = realtime_model(CLINIC)
        connection = realtime.session()
        async with asyncio.timeout(HANG):
            await came.wait()
            await connection.aclose()
        over.set()
        await realtime.aclose()


async def test_the_first_frame_waits_for_the_answer() -> None:
    """What was spoken while the phone rang is kept, and passes in order once the line is open."""
    agent = PhoneAgent(instructions="", tools=[])
    frames = [silence(10), silence(20)]

    async def spoken() -> AsyncIterator[rtc.AudioFrame]:
        for frame in frames:
            yield frame

    heard = aiter(agent.realtime_audio_output_node(spoken(), ModelSettings()))
    first = asyncio.ensure_future(anext(heard))
    done, _ = await asyncio.wait([first], timeout=0.05)
    assert not done
    agent.answered.set()
    assert await asyncio.wait_for(first, HANG) is frames[0]
    assert [frame async for frame in heard] == frames[1:]


async def test_an_open_line_holds_nothing_back() -> None:
    """Later speeches pass the gate without a wait."""
    agent = PhoneAgent(instructions="", tools=[])
    agent.answered.set()

    async def spoken() -> AsyncIterator[rtc.AudioFrame]:
        yield silence(10)

    heard = agent.realtime_audio_output_node(spoken(), ModelSettings())
    assert len([frame async for frame in heard]) == 1


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        (None, [tool.info.name for tool in CLINIC.tools]),
        (("end_call", "opening_hours"), ["opening_hours", "end_call"]),
        ((), []),
    ],
)
def test_a_line_may_offer_fewer_tools(offered: tuple[str, ...] | None, expected: list[str]) -> None:
    """None means all of the workflow's; an empty list means none."""
    line = LINE.model_copy(update={"tools": offered})
    agent = first_agent(line, CLINIC, lambda _name: "You are a receptionist.")
    assert [tool.id for tool in agent.tools] == expected
    assert agent.instructions == "You are a receptionist."


@pytest.mark.parametrize("kind", LegKind)
def test_only_phones_take_no_text(kind: LegKind) -> None:
    """A browser may type; nobody's leaving closes the session behind our back."""
    options = session.room_options(kind, "caller")
    assert options.participant_identity == "caller"
    assert bool(options.text_input) is (kind is not LegKind.SIP)
    assert (options.close_on_disconnect, options.delete_room_on_close) == (False, False)


def test_first_uses_can_be_paid_for_twice() -> None:
    """Warming up needs neither key nor network."""
    session.prewarm()
    session.prewarm()
