"""One call while it lasts: its journal, its first ending, and what has to stop when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, Protocol

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    APIConnectionError,
    CloseEvent,
    CloseReason,
    ErrorEvent,
    SpeechCreatedEvent,
    UserStateChangedEvent,
)
from livekit.agents.voice import SpeechHandle

from thirdring.calls import Ending, EndReason, Latency
from thirdring.clock import Clock
from thirdring.first_words import FirstWords
from thirdring.fixed_lines import FixedLine, duration, frames
from thirdring.journal import (
    Answered,
    DigitPressed,
    Ended,
    Entry,
    Journal,
    LatencyMeasured,
    ModelFault,
    OutcomeNoted,
    TurnSpoken,
)
from thirdring.outcome import Outcome
from thirdring.recorder import Recorder
from thirdring.session import PhoneAgent, PhoneRealtimeModel
from thirdring.stages import Stages
from thirdring.state import CallState
from thirdring.watching import Happening, HasEnded, IsRefused, Spoken, Wait, watch_tools

__all__ = ["FarEnd", "LiveCall"]

logger = logging.getLogger(__name__)

_TAIL_SECONDS = 0.3
"""Between the last frame that was played out here and the hang-up.

The last loud packet leaves the SIP side 54 to 92 ms after the playout; livekit-sip's mixer holds
60 to 80 ms more. Measured: at once cuts 40 to 80 ms of the last word, 300 ms cuts nothing.
"""

_LOST_CONNECTIONS = 5
_LOST_WITHIN_SECONDS = 10.0
"""A model that takes every connection and drops it is connected to anew for ever, ten times a
second, and calls each of these failures recoverable."""

_PLAYOUT_SECONDS = 5.0
"""What playing a sentence may take beyond its own length."""

_LONGEST_DETAIL = 300

_LAST_WORDS_SECONDS = 1.2
"""How long the model may take to write down what a caller said just before hanging up."""

_OURS = frozenset(
    {
        EndReason.COMPLETED,
        EndReason.AGENT_HUNG_UP,
        EndReason.REFUSED,
        EndReason.NOT_IN_SERVICE,
        EndReason.MODEL_FAILED,
        EndReason.LIMIT_REACHED,
    }
)


_STOPPING_SECONDS = 1.0
"""Within which a session that is closed with its job is followed by the end of the job."""

_CLOSED_BY_US = frozenset({CloseReason.USER_INITIATED, CloseReason.TASK_COMPLETED})


class FarEnd(Protocol):
    """The caller's side of one call."""

    async def play(self, line: FixedLine) -> None:
        """Say a fixed line; return when it was heard."""
        ...

    def show(self, happening: Happening) -> None:
        """Show what happens, where somebody watches."""
        ...

    def hang_up(self) -> None:
        """End the caller's side at once."""
        ...

    async def close(self) -> None:
        """Leave nothing behind; the call is over."""
        ...


class LiveCall:
    """Every way a call can end leads to `end`; the first one counts.

    Args:
        journal: Open, with its `opened` entry written.
        far_end: Where the caller is.
        over: Called once, with the reason, so that the job ends too.

    Attributes:
        resources: What the call has opened; closed when it is over.
    """

    def __init__(
        self,
        journal: Journal,
        far_end: FarEnd,
        clock: Clock,
        *,
        over: Callable[[str], None],
    ) -> None:
        self.journal = journal
        self.ending: Ending | None = None
        self.recorder = Recorder(self._record, clock)
        self.resources = AsyncExitStack()
        self._stages = Stages(journal.offset)
        self._far_end = far_end
        self._clock = clock
        self._over = over
        self._opened_at = clock.now()
        self._session: AgentSession[CallState] | None = None
        self._agent: PhoneAgent | None = None
        self._answered = False
        self._first_words: FirstWords | None = None
        self._lost: deque[float] = deque(maxlen=_LOST_CONNECTIONS)
        self._refused = False
        self._given_up = False
        self._speeches: set[SpeechHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(
        self,
        session: AgentSession[CallState],
        agent: PhoneAgent,
        *,
        minutes: float,
        speaks_first: bool = True,
        connecting: bool = False,
    ) -> None:
        """Follow this session until it closes; end the call after `minutes`.

        Args:
            speaks_first: Whoever is called may take their time to say hello.
            connecting: Whether the caller is told so while the model is not there yet.
        """
        self._session = session
        self._agent = agent
        self._first_words = FirstWords(agent, self._play, self._give_up)
        if self._answered:  # livekit-sip may answer before we are in the room
            self._first_words.line_opened()
        self.recorder.attach(session)
        if isinstance(session.llm, PhoneRealtimeModel):
            session.llm.connected = self._stages.model_connected
        watch_tools(session, self._far_end.show)
        session.on("close", self._on_close)
        session.on("error", self._on_error)
        session.on("speech_created", self._on_speech)
        session.on("agent_state_changed", self._on_state)
        session.on("user_state_changed", self._on_state)
        if speaks_first:
            self._spawn(self._first_words.watch(connecting=connecting))
        self._spawn(self._hang_up_when_asked(session.userdata))
        self._spawn(self._limit(session, minutes * 60))

    def ready(self) -> None:
        """Note that the agent is ready to speak."""
        self._stages.reach("ready")
        now = self._clock.now()
        waited = (now - self._opened_at).total_seconds()
        latency = Latency(kind="answer", milliseconds=max(waited, 0) * 1000)
        self.journal.append(LatencyMeasured(at=now, latency=latency))

    def answered(self) -> None:
        """Let the caller hear: the line is open."""
        now = self._clock.now()
        self._stages.reach("answered")
        self.journal.append(Answered(at=now))
        self.recorder.answered(now)
        self._answered = True
        if self._first_words is not None:
            self._first_words.line_opened()

    def outcome(self, value: Outcome) -> None:
        """Note what the call leaves behind, as far as it is known."""
        noted = OutcomeNoted(
            at=self._clock.now(),
            outcome=value.model_dump(mode="json"),
            missing=value.missing(),
            summary=value.summary(),
        )
        self.journal.append(noted)

    def goes_without(self, source: str, why: str) -> None:
        """Note that something which the call can do without has failed it."""
        fault = ModelFault(at=self._clock.now(), source=source, message=why, recoverable=True)
        self.journal.append(fault)

    def digit(self, digit: str) -> None:
        """Note a key that the caller pressed."""
        self.journal.append(DigitPressed(at=self._clock.now(), digit=digit))

    def end(self, reason: EndReason, detail: str | None = None) -> None:
        """Set the ending, unless there is one; hang up where it is ours to do so."""
        if self.ending is not None:
            return
        # What failed says why in its own words, which may be many or hold what a caller sent.
        line = detail and " ".join(detail.split())[:_LONGEST_DETAIL]
        offset = self.journal.offset()
        self.ending = Ending(reason=reason, at=self._clock.now(), detail=line, offset=offset)
        logger.info("call over", extra={"reason": reason, "detail": line})
        self._cancel_tasks()
        self._silence()
        self._far_end.show(HasEnded(reason=reason, detail=line))
        if reason in _OURS:
            self._far_end.hang_up()
        if reason is EndReason.CALLER_HUNG_UP and self._hears():
            self._spawn(self._over_when_understood(reason))
        else:
            self._over(reason)

    def _hears(self) -> bool:
        """Whether the model is still about to write down what the caller said."""
        return self._agent is not None and not self.recorder.has_understood

    async def _over_when_understood(self, reason: EndReason) -> None:
        assert self._agent is not None
        if self._session is not None and self._session.user_state == "speaking":
            # Nothing that is heard any more would tell the model that they have stopped.
            with suppress(RuntimeError):  # it has no session any more
                self._session.current_agent.realtime_llm_session.commit_audio()
        await self.recorder.understood(_LAST_WORDS_SECONDS)
        self._over(reason)

    async def refuse(self, line: FixedLine, reason: EndReason, detail: str) -> None:
        """Play a fixed line to the caller, then end the call; once, and not to one who has left."""
        if self._refused or self.ending is not None:
            return
        self._refused = True
        self._far_end.show(IsRefused(reason=reason, message=detail))
        await asyncio.wait([self._spawn(self._play(line))])
        self.end(reason, detail)

    def stop_waiting(self) -> None:
        """Let no clock of ours end the call any more: its job ends, for a reason to be found."""
        self._cancel_tasks()

    async def finish(self) -> None:
        """Write the ending, close the journal and the far end; the session is closed by now."""
        if self.ending is None:
            self.end(EndReason.WORKER_STOPPED)
        assert self.ending is not None
        self._cancel_tasks()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.recorder.finish()
        self.journal.append(Ended(at=self._clock.now(), ending=self.ending))
        self._stages.log(turns=len(self.recorder.conversation.turns))
        await self.journal.close()
        try:
            await self.resources.aclose()
        except Exception:
            logger.exception("something that the call had opened could not be closed")
        await self._far_end.close()

    def _record(self, entry: Entry) -> None:
        self.journal.append(entry)
        if isinstance(entry, TurnSpoken):
            turn = entry.turn
            shown = Spoken(role=turn.role, text=turn.text, interrupted=turn.interrupted)
            self._far_end.show(shown)
        elif isinstance(entry, LatencyMeasured) and entry.latency.kind != "answer":
            latency = entry.latency
            self._far_end.show(Wait(kind=latency.kind, milliseconds=latency.milliseconds))

    def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _silence(self) -> None:
        # Speech that waits for an answer that will not come would keep the session from closing.
        if self._agent is not None:
            self._agent.answered.set()
        # The session would forget one that waits for its tools, and speak it to nobody to its end.
        for speech in tuple(self._speeches):
            speech.interrupt(force=True)
        if self._session is not None:
            with suppress(RuntimeError):  # not started yet, or closed already
                self._session.interrupt(force=True)

    def _on_speech(self, event: SpeechCreatedEvent) -> None:
        speech = event.speech_handle
        if self.ending is not None:
            speech.interrupt(force=True)
        self._speeches.add(speech)
        speech.add_done_callback(self._speeches.discard)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _play(self, line: FixedLine) -> None:
        try:
            await self._far_end.play(line)
        except Exception:  # the room may go at any moment, and the call has to end all the same
            logger.warning("the caller could not be told: %s", line, exc_info=True)

    async def _hang_up_when_asked(self, state: CallState) -> None:
        await state.end_requested.wait()
        await asyncio.sleep(_TAIL_SECONDS)
        self.end(EndReason.COMPLETED)

    async def _hang_up_unless_stopped(self, reason: CloseReason) -> None:
        # A job that is stopped closes its session in the same way, and comes to `finish` next.
        await asyncio.sleep(_STOPPING_SECONDS)
        self.end(EndReason.AGENT_HUNG_UP, f"the session was closed: {reason.value}")

    async def _limit(self, session: AgentSession[CallState], seconds: float) -> None:
        await asyncio.sleep(seconds)
        line = FixedLine.TIME_LIMIT
        try:
            # RuntimeError: the session has closed.
            with suppress(RuntimeError, TimeoutError):
                async with asyncio.timeout(duration(line) + _PLAYOUT_SECONDS):
                    await session.interrupt(force=True)
                    await session.say(line.text, audio=frames(line))
                    await asyncio.sleep(_TAIL_SECONDS)
        finally:
            self.end(EndReason.LIMIT_REACHED)

    def _give_up(self, detail: str) -> None:
        self._given_up = True
        if self._session is not None:
            # Whatever the model still has to say must not talk into the apology.
            self._session.shutdown(drain=False)
        line = FixedLine.TECHNICAL_DIFFICULTY
        self._spawn(self.refuse(line, EndReason.MODEL_FAILED, detail))

    def _on_state(self, event: AgentStateChangedEvent | UserStateChangedEvent) -> None:
        # That the caller speaks is told by the model, too.
        if event.new_state == "speaking":
            if isinstance(event, AgentStateChangedEvent):
                self._stages.reach("first_audio")
            if self._first_words is not None:
                self._first_words.heard.set()

    def _on_error(self, event: ErrorEvent) -> None:
        if not isinstance(getattr(event.error, "error", None), APIConnectionError):
            return
        self._lost.append(event.created_at)
        often = len(self._lost) == _LOST_CONNECTIONS
        if often and self._lost[-1] - self._lost[0] < _LOST_WITHIN_SECONDS:
            self._give_up(f"the connection was lost {_LOST_CONNECTIONS} times: {event.error.error}")

    def _on_close(self, event: CloseEvent) -> None:
        if event.reason is CloseReason.ERROR:
            self._give_up(str(getattr(event.error, "error", event.error)))
        elif self.ending is None and event.reason in _CLOSED_BY_US and not self._given_up:
            self._spawn(self._hang_up_unless_stopped(event.reason))
