"""Whole calls in this process: a phone in a real room, and the job of a worker that answers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from livekit import api, rtc
from livekit.agents import AgentSession, JobContext, JobExecutorType, JobProcess, utils
from livekit.agents.job import JobAcceptArguments, RunningJobInfo, _JobContextVar
from livekit.protocol import agent, models

from sip import answering
from sip.answering import Switchboard
from tests.peers.room_phone import RoomPhone, room_phone
from tests.peers.scripted_model import BURST
from thirdring import journal
from thirdring.calls import EndReason, ToolUse, Turn
from thirdring.journal import Ended, Entry, ToolUsed, TurnSpoken

__all__ = ["PHONE", "Calling", "Calls", "Job", "ending", "job_for", "turns", "uses"]

PHONE = {
    "sip.callID": "SCL_1",
    "sip.callStatus": "ringing",
    "sip.phoneNumber": "+12025550199",
    "sip.trunkPhoneNumber": "+12025550142",
}
"""Attributes of a phone that rings; the gateway and livekit-sip set the same."""


class _NoInference:
    async def do_inference(self, method: str, data: bytes) -> bytes | None:
        raise AssertionError(f"no call of these tests infers anything, but asked for {method}")


@dataclass
class Job:
    """What a worker runs for one call.

    Attributes:
        over: Resolves with the reason when the job is asked to shut down.
    """

    ctx: JobContext
    board: Switchboard
    over: asyncio.Future[str]

    async def answer(self) -> None:
        """Answer the call."""
        async with asyncio.timeout(20):
            await answering.answer(self.ctx, self.board)

    async def finish(self) -> list[Entry]:
        """Wait until the call is over, end the job as a worker does, and return the journal."""
        async with asyncio.timeout(30):
            await self.over
            with suppress(RuntimeError):  # there was no session
                await self.ctx.primary_session.aclose()
            await answering.finish(self.ctx)
        (path,) = self.board.home.journals.glob("*.jsonl")
        return list(journal.read(path).entries)


def _shut_down(over: asyncio.Future[str], reason: str) -> None:
    if not over.done():
        over.set_result(reason)


@contextmanager
def _context(
    environ: Mapping[str, str], room: str, metadata: str, over: asyncio.Future[str]
) -> Iterator[JobContext]:
    token = (
        api.AccessToken(environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"])
        .with_identity("agent")
        .with_kind("agent")
        .with_grants(api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True))
        .to_jwt()
    )
    ctx = JobContext(
        proc=JobProcess(executor_type=JobExecutorType.THREAD, user_arguments=None, http_proxy=None),
        info=RunningJobInfo(
            accept_arguments=JobAcceptArguments(identity="agent", name="", metadata=""),
            job=agent.Job(id="AJ_1", room=models.Room(name=room), metadata=metadata),
            url=environ["LIVEKIT_URL"],
            token=token,
            worker_id="none",
            fake_job=False,
        ),
        room=rtc.Room(),
        on_connect=lambda: None,
        on_shutdown=lambda reason: _shut_down(over, reason),
        inference_executor=_NoInference(),
    )
    current = _JobContextVar.set(ctx)
    try:
        yield ctx
    finally:
        _JobContextVar.reset(current)


@asynccontextmanager
async def job_for(
    environ: Mapping[str, str], board: Switchboard, room: str, *, metadata: str = ""
) -> AsyncIterator[Job]:
    """Make the job of the call in `room`; `JobContext` has no public constructor."""
    over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with _context(environ, room, metadata, over) as ctx:
        async with utils.http_context.open():
            try:
                yield Job(ctx, board, over)
            finally:
                await ctx.room.disconnect()
                await ctx._on_cleanup()


@dataclass
class Calling:
    """A phone that rings in a room, and the job that is to answer it."""

    phone: RoomPhone
    job: Job

    @property
    def session(self) -> AgentSession[Any]:
        """What speaks and listens; there once the job has answered."""
        return self.job.ctx.primary_session

    async def open_line(self) -> None:
        """Let the phone be answered, as a SIP side does once the agent's audio is there."""
        await self.phone.room.local_participant.set_attributes({"sip.callStatus": "active"})

    async def answer(self) -> None:
        """Answer, open the line and wait until the agent speaks."""
        await self.job.answer()
        speaking = self.next("agent_state_changed", new_state="speaking")
        await self.open_line()
        await speaking

    async def utter(self) -> None:
        """Make the sound that the scripted model takes for the caller's next words."""
        samples = np.frombuffer(BURST, np.int16)[::3].tobytes()
        for start in range(0, len(samples), 160):
            frame = rtc.AudioFrame(samples[start : start + 160], 8000, 1, 80)
            await self.phone.source.capture_frame(frame)

    async def hang_up(self) -> list[Entry]:
        """Leave as a caller does; return the journal."""
        await self.phone.room.disconnect()
        return await self.job.finish()

    def next(
        self, name: Any, fits: Callable[[Any], bool] = lambda _: True, **wanted: object
    ) -> Awaitable[Any]:
        """Return the session's next event of this name that fits; 20 s at most."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def check(event: Any) -> None:
            same = all(getattr(event, key) == value for key, value in wanted.items())
            if same and fits(event) and not future.done():
                future.set_result(event)

        self.session.on(name, check)
        return asyncio.create_task(asyncio.wait_for(future, 20))


@dataclass
class Calls:
    """Makes calls in a room of their own."""

    environ: Mapping[str, str]
    board: Switchboard
    room: str

    @asynccontextmanager
    async def __call__(
        self,
        board: Switchboard | None = None,
        *,
        attributes: Mapping[str, str] = PHONE,
        metadata: str = "",
    ) -> AsyncIterator[Calling]:
        """Let a phone ring; `metadata` is that of the dispatch."""
        async with (
            room_phone(self.environ, self.room, attributes=attributes, metadata="") as phone,
            job_for(self.environ, board or self.board, self.room, metadata=metadata) as job,
        ):
            yield Calling(phone, job)

    def job(self) -> AbstractAsyncContextManager[Job]:
        """Return a job for the room, whoever is in it."""
        return job_for(self.environ, self.board, self.room)


def turns(entries: list[Entry]) -> list[Turn]:
    """Return what was said."""
    return [entry.turn for entry in entries if isinstance(entry, TurnSpoken)]


def uses(entries: list[Entry]) -> list[ToolUse]:
    """Return the uses of tools that have ended."""
    return [entry.use for entry in entries if isinstance(entry, ToolUsed)]


def ending(entries: list[Entry]) -> EndReason:
    """Return why the call ended, which its last entry says."""
    last = entries[-1]
    assert isinstance(last, Ended)
    return last.ending.reason
