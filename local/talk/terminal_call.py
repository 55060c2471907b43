"""One call by keyboard: the worker's own agent, tools and journal, without a room or a sound."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from livekit.agents import Agent, AgentSession, JobContext
from livekit.agents.testing import fake_job_context
from livekit.agents.utils import http_context
from livekit.agents.voice.agent_activity import ActivityClosedError
from livekit.agents.voice.io import TextOutput

from sip import answering
from sip.answering import Switchboard
from thirdring.calls import Ending, EndReason
from thirdring.fixed_lines import FixedLine
from thirdring.live import LiveCall
from thirdring.session import PhoneAgent
from thirdring.state import CallState
from thirdring.watching import Happening

__all__ = ["Screen", "TypedCall", "typed_call"]


class Screen(Protocol):
    """Where the caller reads."""

    def words(self, text: str) -> None:
        """Show the next words of the agent's turn."""
        ...

    def end_of_words(self) -> None:
        """Note that the turn is complete."""
        ...

    def fixed_line(self, text: str) -> None:
        """Show what a caller on the phone would hear from a recording."""
        ...

    def happening(self, happening: Happening) -> None:
        """Show something else that happens."""
        ...


class _Words(TextOutput):
    def __init__(self, screen: Screen) -> None:
        super().__init__(label="terminal", next_in_chain=None)
        self._screen = screen

    async def capture_text(self, text: str) -> None:
        self._screen.words(text)

    def flush(self) -> None:
        self._screen.end_of_words()


class _Typist:
    """The caller's side: everything that is said is shown."""

    def __init__(self, screen: Screen, over: Callable[[], None], caller: str | None) -> None:
        self.words = _Words(screen)
        self.caller = caller
        self._screen = screen
        self._over = over

    async def play(self, line: FixedLine) -> None:
        self._screen.fixed_line(line.text)

    def show(self, happening: Happening) -> None:
        self._screen.happening(happening)

    def hang_up(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def over(self, reason: str) -> None:
        del reason
        self._over()


class TypedCall:
    """A call that was answered.

    Attributes:
        live: Its journal and its ending.
        over: Set when the call has ended, whoever ended it.
    """

    def __init__(self, ctx: JobContext, live: LiveCall, over: asyncio.Event) -> None:
        self.live = live
        self.over = over
        self._ctx = ctx

    @property
    def session(self) -> AgentSession[CallState]:
        """What answers; a call that failed at once has none."""
        session: AgentSession[Any] = self._ctx.primary_session
        return session

    @property
    def ending(self) -> Ending | None:
        """How the call ended; None while it lasts."""
        return self.live.ending

    async def say(self, text: str) -> str | None:
        """Say something to the agent; return when it has answered, or the call is over.

        Returns:
            Why there is no answer; None when there is one.
        """
        await self._taken()
        try:
            speech = self.session.generate_reply(user_input=text, input_modality="text")
        except RuntimeError:  # the session has closed, for the model has failed
            await self.over.wait()
            return None
        await self._done(speech.wait_for_playout())
        error = speech.exception() if speech.done() else None
        return None if error is None else str(error)

    async def greeted(self) -> None:
        """Return when the agent has greeted, or the call is over."""
        if not self.over.is_set():  # one that failed at once has no session to wait for
            await self._done(self._idle())

    async def _done(self, speech: Coroutine[Any, Any, None]) -> None:
        await self.until_over(speech)
        if not self.over.is_set() and self.session.userdata.end_requested.is_set():
            # The agent has said goodbye, and hangs up a moment later.
            await self.over.wait()

    async def until_over(self, work: Any) -> Any:
        """Return what `work` returns; None when the call ended first."""
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self.over.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return tasks[0].result() if tasks[0].done() else None
        finally:
            for task in tasks:
                task.cancel()

    def interrupt(self) -> None:
        """Stop the agent's answer."""
        with suppress(RuntimeError):  # it has just closed
            self.session.interrupt(force=True)

    def hang_up(self) -> None:
        """End the call as a caller does."""
        self.live.end(EndReason.CALLER_HUNG_UP)

    async def _taken(self) -> Agent:
        """Wait until the agent that has the call last has really got it; return it."""
        agent = self.session.current_agent
        if isinstance(agent, PhoneAgent):
            await self.until_over(agent.entered.wait())
        return agent

    async def _idle(self) -> None:
        agent = await self._taken()
        try:
            await self.session.wait_for_idle()
        except ActivityClosedError:
            if self.session.current_agent is agent:
                await self.over.wait()
        if self.session.current_agent is not agent:
            await self._idle()


@asynccontextmanager
async def typed_call(
    board: Switchboard, screen: Screen, *, metadata: str, caller: str | None = None
) -> AsyncIterator[TypedCall]:
    """Call the line that `metadata` names, as a dispatch would; the call is over at the end.

    Args:
        caller: The number to call from; None for a hidden one.
    """
    over = asyncio.Event()
    typist = _Typist(screen, over.set, caller)
    with fake_job_context(job_id=f"talk-{secrets.token_hex(6)}", job_metadata=metadata) as ctx:
        async with http_context.open():
            try:
                await answering.answer(ctx, board, typist)
                live = answering.live_call(ctx)
                assert live is not None, "a call without a room has a leg and a journal of its own"
                yield TypedCall(ctx, live, over)
            finally:
                with suppress(RuntimeError):  # there was no session
                    await ctx.primary_session.aclose()
                await answering.finish(ctx)
                # As a worker does; the folder for its recordings would be left behind.
                await ctx._on_cleanup()
