"""One bridged call, from the INVITE to the last packet."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final

import baresip
from baresip import CallState, Event, StackEvent, StaleHandleError
from livekit import rtc

from sip.gateway.audio import CallerVoice, RoomVoices
from sip.gateway.core import Core
from sip.gateway.ending import End, Farewell, departure, farewell, is_said
from sip.gateway.hold import expect_media
from sip.gateway.invitation import CallStatus, Invitation, masked
from sip.gateway.journal import CallJournal
from sip.gateway.room import CallRoom, Unreachable
from sip.inbound import JOURNAL_ATTRIBUTE, Departure, say_ending
from sip.keypad import DIGIT_CODES

__all__ = ["BridgedCall", "Patience"]

logger = logging.getLogger(__name__)

_AGENT: Final = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
_AUDIO: Final = rtc.TrackKind.KIND_AUDIO
_JOB_CHECK: Final = 0.25
_JOB_CHECK_LATER: Final = 1.0


@dataclass(frozen=True)
class Patience:
    """How long the gateway waits, in seconds.

    Attributes:
        agent: For the agent's audio, before it dispatches once more, and then again before it
            refuses the call.
        company: For somebody to be in the room again after the last one left an answered call, or
            the connection to it broke. A caller hears silence meanwhile.
        media: Without RTP from the caller.
        farewell: For both sides to take notice of the end.
    """

    agent: float = 3.0
    company: float = 2.5
    media: int = 15
    farewell: float = 1.5


class _Wait(Enum):
    """How a wait for the agent ended."""

    HEARD = "its audio is there"
    LATE = "it has not come in time"
    LOST = "its job has died"


class _Over(Exception):
    """Ends the tasks of a call that is over."""


async def _stop() -> None:
    """End the task group that this runs in, as Python's own documentation of TaskGroup does it."""
    raise _Over


class BridgedCall:
    """Joins one SIP call to one room; `run` carries it to its end and cleans up after it."""

    def __init__(
        self,
        sip: baresip.Call,
        room: CallRoom,
        invitation: Invitation,
        *,
        journal: CallJournal,
        patience: Patience,
        core: Core,
    ) -> None:
        self._sip = sip
        self._room = room
        self._invitation = invitation
        self._journal = journal
        self._patience = patience
        self._core = core
        self._started = time.monotonic()
        self._answered = False
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._audible = asyncio.Event()
        self._connected = True
        self._ghosts: frozenset[str] = frozenset()
        self._people_changed = asyncio.Event()
        self._pressed: asyncio.Queue[str] = asyncio.Queue()
        self._ordered: asyncio.Queue[str] = asyncio.Queue()
        self._holds: asyncio.Queue[bool] = asyncio.Queue()
        self._voices = RoomVoices(sip.audio)
        # At once: a CANCEL may be the very next thing that happens.
        sip.on(self._on_sip)

    async def run(self) -> None:
        """Carry the call until either side ends it; leaves both sides tidy, whatever happens."""
        end, detail = End.STOPPED, None
        self._journal.open()
        try:
            end = await self._bridge()
        except* Unreachable as group:
            end, detail = End.FAILED, "livekit-server does not serve the call"
            problem = "; ".join(str(error) or "no answer in time" for error in group.exceptions)
            logger.error(  # noqa: TRY400  (where the server is, is no defect of the code)
                "gateway call failed: livekit-server does not serve it (%s); is it up, and do "
                "LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET belong to it?",
                problem,
                extra=self._fields(),
            )
        except* Exception:
            end = End.FAILED
            logger.exception("gateway call failed", extra=self._fields())
        finally:
            self._log("gateway call ended", reason=end.value)
            why = departure(end, answered=self._acknowledged.is_set(), detail=detail)
            await self._part(farewell(end, answered=self._answered), why, said=is_said(end))

    async def _bridge(self) -> End:
        try:
            async with asyncio.TaskGroup() as group:
                self._listen(group)
                group.create_task(self._stages(group))
                await self._ended
                group.create_task(_stop())
        except* _Over:
            pass
        return self._ended.result()

    async def _stages(self, group: asyncio.TaskGroup) -> None:
        await self._room.join()
        self._log("gateway call is in its room")
        group.create_task(CallerVoice(self._room.source, self._sip.audio).run())
        if not await self._agent_came():
            self._end(End.NO_AGENT)
            return
        try:
            await self._sip.answer()
        except StaleHandleError:
            # The caller gave up this very moment; the event that says so is on its way.
            return
        self._answered = True
        self._journal.answered()
        self._log("gateway call answered")
        group.create_task(self._follow_holds())
        group.create_task(self._watch_job())
        # The stack sends no audio before the ACK: until a lost one has been sent again, half a
        # second or more, the greeting would go nowhere.
        await self._acknowledged.wait()
        group.create_task(self._pass_pressed())
        group.create_task(self._pass_ordered())
        await self._room.tell(CallStatus.ACTIVE)
        await self._until_alone()
        self._end(End.AGENT_GONE if self._connected else End.ROOM_LOST)

    async def _agent_came(self) -> bool:
        wait = await self._wait_for_agent()
        if wait is _Wait.LATE and self._room.has_agent:
            wait = await self._wait_for_agent()
        elif wait is not _Wait.HEARD:
            # Of a job whose process has died livekit-server shows the agent for a while longer.
            self._log("no agent for the gateway's call, dispatching once more", why=wait.value)
            await self._room.dispatch_again()
            wait = await self._wait_for_agent()
        return wait is _Wait.HEARD

    async def _wait_for_agent(self) -> _Wait:
        """Wait for the agent's audio, but not for that of a job that has died.

        A disk that hangs keeps us from seeing the one, not from hearing the other.
        """
        heard = asyncio.create_task(self._audible.wait())
        lost = asyncio.create_task(self._lose_job())
        try:
            first = asyncio.FIRST_COMPLETED
            done, _ = await asyncio.wait(
                {heard, lost}, timeout=self._patience.agent, return_when=first
            )
        finally:
            heard.cancel()
            lost.cancel()
        if heard in done:
            return _Wait.HEARD
        return _Wait.LOST if lost in done else _Wait.LATE

    async def _lose_job(self) -> None:
        while not await self._journal.job_has_died():  # noqa: ASYNC110 - processes tell no events
            await asyncio.sleep(_JOB_CHECK)

    async def _until_alone(self) -> None:
        """Wait until nobody to talk to was in the room for a while."""
        while True:
            company = self._connected and self._room.has_company(without=self._ghosts)
            wait = None if company else self._patience.company
            self._people_changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._people_changed.wait()
            except TimeoutError:
                return

    async def _watch_job(self) -> None:
        # livekit-server shows the agent of a process that died for 20 s more. Whoever comes after
        # the answer is another one.
        agents = self._room.agents
        while not self._journal.job_is_gone():  # noqa: ASYNC110 - processes tell no events
            await asyncio.sleep(_JOB_CHECK_LATER)
        self._ghosts = agents
        self._people_changed.set()

    async def _pass_pressed(self) -> None:
        while True:
            digit = await self._pressed.get()
            await self._room.press(digit)
            self._log("gateway passed a digit to the room")

    async def _pass_ordered(self) -> None:
        while True:
            digits = await self._ordered.get()
            while not self._ordered.empty():
                digits += self._ordered.get_nowait()
            try:
                await self._sip.send_dtmf(digits)
            except StaleHandleError:
                return
            self._log("gateway passed digits to the caller", count=len(digits))

    def note_hold(self, held: bool) -> None:  # noqa: FBT001 - what the trace tells
        """Note whether the phone's latest SDP holds us by the address 0.0.0.0."""
        self._holds.put_nowait(held)

    async def _follow_holds(self) -> None:
        held_before = False
        while True:
            held = await self._holds.get()
            if held != held_before:
                seconds = None if held else self._patience.media
                await self._core.run(partial(expect_media, self._sip.call_id or "", seconds))
            held_before = held

    def _listen(self, group: asyncio.TaskGroup) -> None:
        room = self._room.room
        carriers: dict[str, asyncio.Task[None]] = {}

        @room.on("track_subscribed")
        def subscribed(
            track: rtc.Track, _: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
        ) -> None:
            if track.kind != _AUDIO or self._ended.done():
                return
            carriers[track.sid] = group.create_task(self._voices.carry(track))
            if who.kind == _AGENT:
                self._audible.set()

        @room.on("track_unsubscribed")
        def unsubscribed(
            track: rtc.Track, _: rtc.RemoteTrackPublication, __: rtc.RemoteParticipant
        ) -> None:
            if (carrier := carriers.pop(track.sid, None)) is not None:
                carrier.cancel()

        @room.on("sip_dtmf_received")
        def ordered(dtmf: rtc.SipDTMF) -> None:
            if dtmf.digit in DIGIT_CODES:
                self._ordered.put_nowait(dtmf.digit)

        @room.on("participant_attributes_changed")
        def changed(_: dict[str, str], who: rtc.Participant) -> None:
            if who.kind == _AGENT and who.attributes.get(JOURNAL_ATTRIBUTE):
                self._journal.seen_elsewhere()

        room.on("participant_connected", lambda _: self._people_changed.set())
        room.on("participant_disconnected", lambda _: self._people_changed.set())
        room.on("reconnecting", lambda: self._connection(up=False))
        room.on("reconnected", lambda: self._connection(up=True))
        room.on("disconnected", lambda _: self._end(End.ROOM_GONE))

    def _on_sip(self, event: StackEvent) -> None:
        if event.event is Event.CALL_DTMF_START and event.text in DIGIT_CODES:
            self._pressed.put_nowait(event.text)
        elif event.event is Event.CALL_ESTABLISHED:
            self._acknowledged.set()
        elif event.event is Event.CALL_CLOSED:
            self._closed.set()
            # "rtp stream error" and "Connection reset by peer", the latter for BYE and CANCEL.
            if "rtp" in (event.text or "").lower():
                self._end(End.MEDIA_TIMEOUT)
            elif self._answered:
                self._end(End.CALLER_HUNG_UP)
            else:
                self._end(End.CALLER_GAVE_UP)

    def _connection(self, *, up: bool) -> None:
        self._connected = up
        self._people_changed.set()

    def _end(self, end: End) -> None:
        if not self._ended.done():
            self._ended.set_result(end)

    async def _part(self, todo: Farewell, why: Departure, *, said: bool) -> None:
        """Take leave of both sides and of the journal; a cancellation waits until that is done.

        Cut short, it could abandon a connection half way, and for that the SDK ends the process:
        "timed out waiting for ReadyForRoomEventRequest", then SIGTERM.
        """
        parting = asyncio.ensure_future(
            asyncio.gather(
                self._part_from_caller(todo),
                self._part_from_room(todo, say_ending(why) if said else {}),
                self._journal.over(why),
                return_exceptions=True,
            )
        )
        try:
            await asyncio.shield(parting)
        finally:
            await asyncio.wait({parting})
            for problem in parting.result():
                if isinstance(problem, BaseException):
                    logger.warning(
                        "gateway call did not end well: %r", problem, extra=self._fields()
                    )

    async def _part_from_caller(self, todo: Farewell) -> None:
        if not todo.hang_up or self._sip.state is CallState.CLOSED:
            return
        async with asyncio.timeout(self._patience.farewell):
            try:
                await self._sip.hangup()
            except StaleHandleError:
                return
            await self._closed.wait()

    async def _part_from_room(self, todo: Farewell, said: dict[str, str]) -> None:
        await self._room.settle()
        async with asyncio.timeout(self._patience.farewell):
            await self._room.leave(said if todo.leave else None)
            if todo.delete:
                await self._room.delete()

    def _fields(self) -> dict[str, object]:
        return {
            "call_id": self._invitation.call_id,
            "line": self._invitation.line,
            "elapsed_ms": round((time.monotonic() - self._started) * 1000),
        }

    def _log(self, message: str, **more: object) -> None:
        caller = masked(self._invitation.caller)
        logger.info(message, extra={**self._fields(), "caller": caller, **more})
