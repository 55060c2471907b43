"""Calls that ring in a LiveKit room and that no job has taken yet, as the courier sees them.

Our gateway opens the journal of a call at its INVITE. Behind livekit-sip the courier does, told by
livekit-server's webhooks (`sip.server_events`), so that a call leaves a record also when no job
ever took it. An event may be lost, late or come twice: what counts is what the journal says, and
who is in the room when livekit-server is asked.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from livekit import api

from sip import inbound
from sip.attendance import OUT_OF_REACH, Attendance, is_agent, is_call, leg
from thirdring.access import LiveKitAccess
from thirdring.calls import Ending, EndReason
from thirdring.clock import Clock
from thirdring.errors import CallTaken, JournalError
from thirdring.home import Home
from thirdring.journal import Opened, Ringing, Writer, file_name, read
from thirdring.settings import Settings
from thirdring.store import Store
from thirdring.store.outbox import Outbox

__all__ = ["Patience", "RingingCalls", "ringing_calls"]

logger = logging.getLogger(__name__)

# What a caller who has not been answered leaves the room with; what is not here, is a loss.
_REASONS: Final = {
    api.DisconnectReason.CLIENT_INITIATED: EndReason.ABANDONED,
    api.DisconnectReason.PARTICIPANT_REMOVED: EndReason.REMOVED,
    api.DisconnectReason.ROOM_DELETED: EndReason.REMOVED,
    api.DisconnectReason.ROOM_CLOSED: EndReason.REMOVED,
    api.DisconnectReason.DUPLICATE_IDENTITY: EndReason.REMOVED,
    # So leaves livekit-sip when it ends the call itself (pkg/sip/types.go, DisconnectReason).
    api.DisconnectReason.UNKNOWN_REASON: EndReason.REFUSED,
    api.DisconnectReason.USER_UNAVAILABLE: EndReason.REFUSED,
    api.DisconnectReason.USER_REJECTED: EndReason.REFUSED,
    api.DisconnectReason.SIP_TRUNK_FAILURE: EndReason.REFUSED,
}
_WORDS: Final = {
    EndReason.ABANDONED: "the caller left",
    EndReason.CALLER_HUNG_UP: "the caller hung up",
    EndReason.REFUSED: "the SIP side ended the call",
    EndReason.REMOVED: "the room was closed, or the caller removed from it",
    EndReason.INTERRUPTED: "the SIP side was lost while the phone rang",
}


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds.

    Attributes:
        start: Between two attempts to see all rooms at the start.
        look: Between two looks into the rooms whose phone rings.
        settled: Until a caller who is not in the list of its room is believed to have left.
        silence: Of livekit-server, until the calls that ring there are given up. livekit-sip rings
            for 3 min at most (pkg/sip/types.go, defaultRingingTimeout).
    """

    start: float = 2.0
    look: float = 15.0
    settled: float = 3.0
    silence: float = 180.0


@dataclass
class _Call:
    """One phone that rings.

    Attributes:
        since: When it began to, or was taken over, by the monotonic clock.
        seen: When it was last certainly there.
        over: Why it is, while an agent of another home may still say that its job has the journal.
    """

    ringing: Ringing
    since: float = field(default_factory=time.monotonic)
    seen: float = field(default_factory=time.monotonic)
    over: tuple[EndReason, str | None] | None = None

    @property
    def room(self) -> str:
        return self.ringing.opened.room


@asynccontextmanager
async def ringing_calls(
    home: Home,
    settings: Callable[[], Settings],
    store: Store,
    clock: Clock,
    access: LiveKitAccess,
    *,
    patience: Patience | None = None,
) -> AsyncIterator[RingingCalls]:
    """Hold the calls that ring; those that another courier held before are taken over at once.

    What still rings at the end is left to the next courier.

    Raises:
        ConfigError: The home's id cannot be used.
    """
    server = api.LiveKitAPI(access.url, access.api_key, access.api_secret.get_secret_value())
    calls = RingingCalls(home, settings, store, clock, server)
    patience = patience or Patience()
    try:
        await calls.adopt()
        watching = asyncio.create_task(calls.watch(patience))
        try:
            yield calls
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
    finally:
        calls.leave_all()
        await server.aclose()


class RingingCalls:
    """All calls whose journal this courier has opened and holds."""

    def __init__(
        self,
        home: Home,
        settings: Callable[[], Settings],
        store: Store,
        clock: Clock,
        server: api.LiveKitAPI,
    ) -> None:
        self._home = home
        self._home_id = home.id
        self._settings = settings
        self._outbox = Outbox(store)
        self._clock = clock
        self._attendance = Attendance(server)
        self._began = time.time()
        self._calls: dict[str, _Call] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def handle(self, event: api.WebhookEvent) -> None:
        """Act upon what happened in a room.

        Raises:
            OSError: A journal cannot be written; the event may come again.
            StoreError: The store cannot be asked; the same.
        """
        room, participant = event.room.name, event.participant
        async with self._turn(room):
            match event.event:
                case "participant_joined" if is_agent(participant):
                    self._attendance.note(room, [participant])
                case "participant_left" | "participant_connection_aborted" if is_agent(participant):
                    await self._agent_left(room, participant)
                case "participant_joined" if is_call(participant):
                    await self._open(room, participant)
                case "participant_left" | "participant_connection_aborted" if is_call(participant):
                    await self._left(room, participant)
                case "track_published":
                    await self._heard(room, participant.identity)
                case "room_finished":
                    await self._finished(room)
                case _:
                    pass

    async def adopt(self) -> None:
        """Take over what a courier held that died, before the journals are collected."""
        for beside in sorted(self._home.journals.glob("*.jsonl.ringing")):
            path = beside.with_suffix("")
            try:
                ringing = await asyncio.to_thread(Ringing.adopt, path)
            except (OSError, JournalError):
                logger.exception("%s: cannot be taken over; it is collected as it is", path)
                continue
            if ringing is not None:
                call_id = ringing.opened.leg.call_id
                self._calls[call_id] = _Call(ringing, since=-math.inf)
                logger.info("call %s is taken over from a courier that ended", call_id)

    async def watch(self, patience: Patience) -> None:
        """Find calls whose joining nobody told us of, and end those of whose end nobody does."""
        surveyed, complain = False, True
        while True:
            try:
                surveyed = surveyed or await self._survey(complain=complain)
                complain = False
                for room in {call.room for call in self._calls.values()}:
                    async with self._turn(room):
                        await self._look(room, patience)
            except Exception:  # whatever it is, deliveries must go on
                logger.exception("calls that ring cannot be looked after; tried again")
            await asyncio.sleep(patience.look if surveyed else patience.start)

    def leave_all(self) -> None:
        """Hold no call any longer; who adopts them goes on."""
        for call in self._calls.values():
            call.ringing.leave()
        self._calls.clear()

    def _turn(self, room: str) -> asyncio.Lock:
        return self._turns.setdefault(room, asyncio.Lock())

    def _in(self, room: str) -> list[_Call]:
        return [call for call in self._calls.values() if call.room == room]

    # --- What happens in a room, each with the turn of that room.

    async def _open(self, room: str, participant: api.ParticipantInfo) -> _Call | None:
        found = leg(participant, room)
        if found.call_id in self._calls or await self._is_known(found.call_id):
            return None
        business, line = self._settings().find(found.called) or (None, None)
        opened = Opened(
            at=self._clock.now(),
            leg=found,
            business=business and business.slug,
            line=line and line.number,
            workflow=line and line.workflow,
            model=line and line.model,
            room=room,
            job="",
            writer=Writer.here("courier"),
        )
        try:
            ringing = await asyncio.to_thread(Ringing.open, self._home.journals, opened)
        except CallTaken:
            return None
        logger.info("call %s rings, and no job has it yet", found.call_id, extra={"room": room})
        call = self._calls[found.call_id] = _Call(ringing)
        return call

    async def _is_known(self, call_id: str) -> bool:
        name = file_name(call_id)
        if (self._home.journals / name).exists() or (self._home.archive / name).exists():
            return True
        return await self._outbox.record(call_id) is not None

    async def _left(self, room: str, participant: api.ParticipantInfo) -> None:
        call = self._calls.get(leg(participant, room).call_id)
        # Of a caller who was there before us, a job elsewhere may have written the record.
        if call is None and participant.joined_at >= self._began:
            call = await self._open(room, participant)
        if call is not None:
            await self._end(call, _reason(participant))

    async def _heard(self, room: str, identity: str) -> None:
        calls = self._in(room)
        if identity in {call.ringing.opened.leg.identity for call in calls}:
            return
        known = self._attendance.note_track(room, identity)
        if calls and (not known or self._attendance.journal_elsewhere(room, self._home_id) is None):
            # The event names the participant, and no more (telemetry/events.go, TrackPublished).
            with suppress(*OUT_OF_REACH):
                await self._attendance.look(room)
                self._attendance.note_track(room, identity)
        await self._hand_over(room)

    async def _agent_left(self, room: str, participant: api.ParticipantInfo) -> None:
        self._attendance.note_left(room, participant)
        for call in self._in(room):
            if call.over is not None:
                await self._end(call, *call.over)

    async def _finished(self, room: str) -> None:
        for call in self._in(room):
            await self._end(call, EndReason.ABANDONED, last=True)
        self._attendance.forget(room)

    async def _hand_over(self, room: str) -> None:
        """Release the calls that a job has, where an agent can be heard."""
        ours = self._attendance.speaks_for(room, self._home_id)
        elsewhere = self._attendance.journal_elsewhere(room, self._home_id)
        for call in self._in(room) if ours or elsewhere else ():
            if not ours:
                await self._elsewhere(call)
            # It may have come for another call in the same room.
            elif await asyncio.to_thread(_has_job, call.ringing):
                await asyncio.to_thread(call.ringing.release)
                self._forget(call, "a job has it")

    async def _end(
        self, call: _Call, reason: EndReason, words: str | None = None, *, last: bool = False
    ) -> None:
        """Write the ending, unless that is for a job elsewhere.

        Args:
            last: Nothing more will be heard of the agents in the room.
        """
        if call.over is None:
            call.over, call.seen = (reason, words), time.monotonic()
        reason, words = call.over
        elsewhere = self._attendance.journal_elsewhere(call.room, self._home_id)
        if elsewhere is None and not last:
            return  # said when the agent leaves
        if elsewhere is not False:
            await self._elsewhere(call)
            return
        came = "no agent came"
        if self._attendance.somebody_spoke(call.room):
            came = "the agent that answered kept no journal"
            if reason is EndReason.ABANDONED:
                reason = EndReason.CALLER_HUNG_UP
        elif await asyncio.to_thread(_has_job, call.ringing):
            came = "the job that took the call died"
        elif self._attendance.somebody_came(call.room):
            came = "the agent that came did not take the call"
        detail = f"{words or _WORDS[reason]}; {came}"
        ending = Ending(reason=reason, at=self._clock.now(), detail=detail)
        try:
            ours = await asyncio.to_thread(call.ringing.end, ending)
        except OSError:
            logger.exception("%s: how the call ended cannot be written", call.ringing.path)
            self._forget(call, "its record will say that it was interrupted")
        else:
            self._forget(call, f"{reason}: {detail}" if ours else "a job has it")

    async def _elsewhere(self, call: _Call) -> None:
        try:
            elsewhere = await asyncio.to_thread(call.ringing.elsewhere)
        except OSError:
            logger.exception("%s: that the call is elsewhere cannot be written", call.ringing.path)
            self._forget(call, "it may get a second record here, interrupted")
        else:
            self._forget(call, "an agent of another home has it" if elsewhere else "a job has it")

    def _forget(self, call: _Call, why: str) -> None:
        call_id = call.ringing.opened.leg.call_id
        self._calls.pop(call_id, None)
        logger.info("call %s rings no more: %s", call_id, why, extra={"room": call.room})

    # --- What livekit-server says when it is asked.

    async def _survey(self, *, complain: bool) -> bool:
        """Look into every room once; False when livekit-server cannot be asked."""
        try:
            for room in await self._attendance.rooms():
                async with self._turn(room):
                    for participant in filter(is_call, await self._attendance.look(room)):
                        await self._open(room, participant)
        except OUT_OF_REACH as error:
            if complain:
                why = error or "no answer"
                logger.warning("livekit-server cannot be asked for its rooms, tried again: %s", why)
            return False
        return True

    async def _look(self, room: str, patience: Patience) -> None:
        calls = self._in(room)
        now = time.monotonic()
        try:
            participants = await self._attendance.look(room)
        except OUT_OF_REACH as error:
            logger.warning("livekit-server cannot be asked who is in a room: %s", error)
            for call in calls:
                if now - call.seen > patience.silence:
                    words = "livekit-server could not be asked any more what became of the call"
                    await self._end(call, EndReason.INTERRUPTED, words, last=True)
            return
        here = {leg(one, room).call_id for one in filter(is_call, participants)}
        for call in calls:
            if call.ringing.opened.leg.call_id in here:
                call.seen = now
            elif now - call.since > patience.settled:
                # Nor will anybody tell of an agent that is not there either.
                waited = call.over is not None and now - call.seen > patience.settled
                last = waited and not any(map(is_agent, participants))
                words = "the caller left, and it was noticed late"
                await self._end(call, EndReason.ABANDONED, words, last=last)
        await self._hand_over(room)


def _reason(participant: api.ParticipantInfo) -> EndReason:
    if participant.attributes.get("sip.callStatus") == inbound.CallStatus.HANGUP:
        return EndReason.ABANDONED
    return _REASONS.get(participant.disconnect_reason, EndReason.INTERRUPTED)


def _has_job(ringing: Ringing) -> bool:
    try:
        contents = read(ringing.path)
    except JournalError:
        return False
    return contents.job is not None or contents.ended
