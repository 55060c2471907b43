"""One inbound call from the job's first moment to a session that has greeted the caller."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from livekit.agents import NOT_GIVEN, JobContext
from livekit.agents.voice.io import TextOutput

from sip import inbound
from sip.caller import CallerEvents, Follower, follow
from sip.joining import join
from sip.keypad import RoomKeypad, UnseenKeypad
from sip.last_news import hear_of_departure
from sip.orphan import end_with_worker
from sip.room_end import RoomEnd
from thirdring import agents, errands, lines, metadata, prompts, session, workflow
from thirdring.calls import EndReason, Leg, LegKind, e164
from thirdring.clock import Clock
from thirdring.errors import CallError, CallTaken
from thirdring.facts import facts_of
from thirdring.fixed_lines import FixedLine, play_into_room
from thirdring.home import ATTRIBUTE, Home
from thirdring.journal import Journal, Opened, Writer
from thirdring.limits import call_minutes
from thirdring.live import FarEnd, LiveCall
from thirdring.metadata import Metadata
from thirdring.more_tools import Finding, MoreTools, none_found
from thirdring.outcome import OutcomeSheet
from thirdring.recollection import Recollection
from thirdring.settings import Business, Line, Settings
from thirdring.state import CallState
from thirdring.store import open_store
from thirdring.watching import Happening
from thirdring.workflow import Workflow

__all__ = ["Switchboard", "Typist", "answer", "finish", "live_call", "prewarm"]

logger = logging.getLogger(__name__)

_SAYING_SECONDS: Final = 1.0
"""How long livekit-server may take to show an attribute to the others."""

_GATEWAY_CHECK_SECONDS: Final = 1.0

_LIVE_CALL: Final = "live_call"
_FOLLOWER: Final = "follower"


@dataclass(frozen=True)
class Switchboard:
    """What every call of a worker needs: who is served, what is said, where it is written.

    Attributes:
        more_tools: Finds what a business adds to the tools of a workflow.
        recall_seconds: How long looking up what is known of a caller may take; not longer than a
            phone may ring, unless told otherwise.
    """

    settings: Settings
    workflows: Mapping[str, Workflow]
    home: Home
    clock: Clock
    more_tools: Finding = none_found
    recall_seconds: float | None = None


class Typist(FarEnd, Protocol):
    """A caller who types and reads, without any room.

    Attributes:
        words: Gets the agent's words as they come.
        caller: The number that they call from; None when it is hidden.
    """

    @property
    def words(self) -> TextOutput: ...

    @property
    def caller(self) -> str | None: ...

    def over(self, reason: str) -> None:
        """Be told, once, that the job should end."""
        ...


class _Console:
    """The far end of LiveKit's own console, which shows nothing of ours but the log."""

    async def play(self, line: FixedLine) -> None:
        logger.warning("the caller would hear: %s", line.text)

    def show(self, happening: Happening) -> None:
        pass

    def hang_up(self) -> None:
        pass

    async def close(self) -> None:
        # The console would go on asking for words that nobody hears; so it ends by itself, in its
        # own main thread.
        os.kill(os.getpid(), signal.SIGINT)


@dataclass(frozen=True)
class _Desk:
    """Where one call is answered."""

    ctx: JobContext
    board: Switchboard
    typist: Typist | None

    def far_end(self, leg: Leg) -> FarEnd:
        if self.typist is not None:
            return self.typist
        return _Console() if self.ctx.is_fake_job() else RoomEnd(self.ctx, leg.identity)

    def over(self, reason: str) -> None:
        (self.typist.over if self.typist is not None else self.ctx.shutdown)(reason)


@dataclass(frozen=True)
class _Route:
    business: Business
    line: Line
    workflow: Workflow
    metadata: Metadata


def prewarm(board: Switchboard) -> None:
    """Pay for first uses before a call does; runs once in each idle job process."""
    end_with_worker()
    session.prewarm()
    open_store(board.home, os.environ)  # connects to nothing, but imports what that takes
    e164(board.settings.businesses[0].lines[0].number)


async def answer(ctx: JobContext, board: Switchboard, typist: Typist | None = None) -> None:
    """Answer the call of this job; returns once the greeting is asked for, or the call refused.

    The call goes on in events; `finish` ends it.

    Args:
        ctx: The job, made for the purpose where somebody types.
        board: Who is served.
        typist: Who calls, where it is not somebody in a room.
    """
    desk = _Desk(ctx, board, typist)
    leg = await _leg(ctx, typist)
    if leg is None:
        await ctx.delete_room()
        ctx.shutdown("nobody came")
        return
    ctx.log_context_fields = {"call": leg.call_id}
    try:
        route: _Route | CallError = _route(board, leg, ctx.job.metadata)
    except CallError as error:
        route = error
    recollection = None if isinstance(route, CallError) else _recollect(board, leg, route)
    try:
        live = await _open(desk, leg, route)
    except CallTaken as error:
        logger.info("not our call: %s", error)
        if leg.identity not in ctx.room.remote_participants:
            await ctx.delete_room()
        ctx.shutdown("taken")
        return
    except OSError:
        # Nothing is said that nobody will know of, but the caller must not wait for it.
        logger.exception("call refused: its journal cannot be written")
        await play_into_room(ctx.room, FixedLine.TECHNICAL_DIFFICULTY)
        await ctx.delete_room()
        ctx.shutdown("no journal")
        return
    if live.ending is not None:
        return
    if isinstance(route, CallError) or recollection is None:
        await _refuse(live, route)
        return
    try:
        await _speak(desk, leg, route, live, recollection)
    except CallError as error:
        await _refuse(live, error)
    except Exception as error:
        logger.exception("the agent could not start")
        await live.refuse(FixedLine.TECHNICAL_DIFFICULTY, EndReason.MODEL_FAILED, str(error))


async def _refuse(live: LiveCall, why: object) -> None:
    logger.warning("call refused: %s", why)
    await live.refuse(FixedLine.NOT_IN_SERVICE, EndReason.NOT_IN_SERVICE, str(why))


async def finish(ctx: JobContext) -> None:
    """Write the ending of this job's call and leave no room behind (`on_session_end`)."""
    live: LiveCall | None = ctx.proc.userdata.pop(_LIVE_CALL, None)
    follower: Follower | None = ctx.proc.userdata.pop(_FOLLOWER, None)
    if live is None:
        return
    if live.ending is None and follower is not None:
        live.stop_waiting()
        await hear_of_departure(ctx, follower)
    await live.finish()


def live_call(ctx: JobContext) -> LiveCall | None:
    """Return the call of this job, from its opening until `finish`."""
    live: LiveCall | None = ctx.proc.userdata.get(_LIVE_CALL)
    return live


async def _leg(ctx: JobContext, typist: Typist | None) -> Leg | None:
    if ctx.is_fake_job():
        caller = typist and typist.caller
        return Leg(call_id=ctx.job.id, kind=LegKind.CONSOLE, identity="console", caller=caller)
    participant = await join(ctx)
    if participant is None:
        return None
    return inbound.leg(participant, ctx.room.name)


def _route(board: Switchboard, leg: Leg, dispatched: str) -> _Route:
    said = metadata.parse(dispatched)
    business, line = lines.choose(board.settings, leg, said)
    return _Route(business, line, board.workflows[line.workflow], said)


def _recollect(board: Switchboard, leg: Leg, route: _Route) -> Recollection:
    connecting = partial(open_store, board.home, os.environ)
    return Recollection(connecting, route.business, leg, board.clock, limit=board.recall_seconds)


async def _open(desk: _Desk, leg: Leg, route: _Route | CallError) -> LiveCall:
    ctx, board = desk.ctx, desk.board
    routed = None if isinstance(route, CallError) else route
    opened = Opened(
        at=board.clock.now(),
        leg=leg,
        business=routed and routed.business.slug,
        line=routed and routed.line.number,
        workflow=routed and routed.workflow.name,
        model=routed and routed.line.model,
        room=ctx.room.name,
        job=ctx.job.id,
    )
    journal = await asyncio.to_thread(Journal.take, board.home.journals, opened)
    ringer = journal.opened.writer
    live = LiveCall(journal, desk.far_end(leg), board.clock, over=desk.over)
    ctx.proc.userdata[_LIVE_CALL] = live
    if leg.kind is LegKind.CONSOLE:
        return live
    participant = ctx.room.remote_participants.get(leg.identity)
    if leg.kind is LegKind.SIP:
        sip_side = participant.attributes.get(ATTRIBUTE) if participant else None
        if sip_side != board.home.id:
            saying = asyncio.create_task(_say_where(ctx, board.home))
            live.resources.push_async_callback(asyncio.wait, {saying})
    if participant is None:
        live.end(EndReason.ABANDONED)
        return live
    events = CallerEvents(answered=live.answered, digit=live.digit, left=live.end)
    ctx.proc.userdata[_FOLLOWER] = follow(ctx.room, participant, events)
    if ringer is not None and ringer.role == "gateway":
        watch = asyncio.create_task(_miss_gateway(ringer, live))
        live.resources.callback(watch.cancel)
    return live


async def _miss_gateway(gateway: Writer, live: LiveCall) -> None:
    """End the call when the gateway's process dies; livekit-server misses it after 20 s only."""
    while not gateway.is_certainly_dead():  # noqa: ASYNC110 - processes tell no events
        await asyncio.sleep(_GATEWAY_CHECK_SECONDS)
    live.end(EndReason.INTERRUPTED, "the gateway has died")


async def _say_where(ctx: JobContext, home: Home) -> None:
    """Tell a gateway or a courier on another machine that the call has its journal here."""
    with suppress(TimeoutError):  # then the room has gone, or livekit-server
        async with asyncio.timeout(_SAYING_SECONDS):
            await ctx.room.local_participant.set_attributes({inbound.JOURNAL_ATTRIBUTE: home.id})


async def _facts(
    now: datetime, leg: Leg, route: _Route, live: LiveCall, recollection: Recollection
) -> dict[str, str]:
    remembered = await recollection.facts()
    if recollection.missed is not None:
        live.goes_without("caller memory", recollection.missed)
    return facts_of(route.business, route.line, leg, route.metadata, now=now, remembered=remembered)


def _additions(route: _Route) -> str:
    """Return what business and line add to the instructions of their workflow."""
    texts = (route.business.instructions.strip(), route.line.instructions.strip())
    added = "\n".join(text for text in texts if text)
    return f"# What {{{{ business_name }}}} wants besides\n{added}\n" if added else ""


async def _state(desk: _Desk, leg: Leg, route: _Route, live: LiveCall) -> CallState:
    board = desk.board
    store = await live.resources.enter_async_context(open_store(board.home, os.environ))
    return CallState(
        business=route.business,
        line=route.line,
        leg=leg,
        store=store,
        clock=board.clock,
        conversation=live.recorder.conversation,
        outcome=OutcomeSheet(route.workflow.outcome, live.outcome),
        resources=live.resources,
        allowed_receivers=board.settings.allowed_receivers,
        errand=await errands.errand_of(store, route.business, route.workflow, leg, route.metadata),
        keypad=UnseenKeypad() if leg.kind is LegKind.CONSOLE else RoomKeypad(desk.ctx.room),
        roles=route.workflow.roles,
    )


async def _speak(
    desk: _Desk, leg: Leg, route: _Route, live: LiveCall, recollection: Recollection
) -> None:
    ctx, board, typist = desk.ctx, desk.board, desk.typist
    live.resources.push_async_callback(recollection.close)
    state = await _state(desk, leg, route, live)
    more = MoreTools(board.more_tools, state, workflow.tool_names(route.workflow))
    facts = await _facts(board.clock.now(), leg, route, live, recollection)
    facts |= errands.errand_facts(route.workflow, route.business, state.errand)

    def told(name: str) -> str:
        texts = (workflow.instructions(route.workflow, agent=name), _additions(route))
        return prompts.fill("\n".join(texts), facts)

    name = errands.first_name(route.workflow, state.errand)
    filled = partial(prompts.fill, facts=facts)
    await more.wait_a_moment()
    agent = agents.first_agent(
        route.line, route.workflow, told, name=name, filled=filled, more_tools=more.known
    )
    agent_session = session.agent_session(
        route.line, route.workflow, state, text=typist is not None
    )
    if typist is not None:
        agent_session.output.transcription = typist.words
    speaks_first = bool(agent.opening or (name == workflow.MAIN and route.workflow.greeting))
    live.attach(
        agent_session,
        agent,
        minutes=call_minutes(route.line, route.workflow, route.business),
        speaks_first=speaks_first,
        # Who types sees that somebody is there.
        connecting=route.workflow.connecting and leg.kind is not LegKind.CONSOLE,
    )
    await agent_session.start(
        agent,
        room=ctx.room if typist is None else NOT_GIVEN,
        room_options=session.room_options(leg.kind, leg.identity),
        session_host=leg.kind is LegKind.CONSOLE,
        record=False,
    )
    if name == workflow.MAIN:  # whoever is called for an errand gets at nothing else
        more.offer(agent)
    greeting = prompts.fill(route.line.greeting or route.workflow.greeting, facts)
    if greeting and name == workflow.MAIN:
        agent_session.generate_reply(instructions=f'Say exactly this, word for word: "{greeting}"')
    live.ready()
    if leg.kind is LegKind.CONSOLE:
        live.answered()
