"""Fixed lines are heard: through a session, and in a room without one."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from livekit import api, rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import io

from local.parts.livekit_server import Keys, livekit_server
from local.parts.part import Part, running
from thirdring import fixed_lines
from thirdring.fixed_lines import SAMPLE_RATE, FixedLine, duration, frames, play_into_room

KEYS = Keys()
FOLDER = Path(fixed_lines.__file__).parent


def peak(data: bytes | memoryview) -> int:
    return max(map(abs, array("h", bytes(data))), default=0)


@asynccontextmanager
async def joined(server: Part, identity: str) -> AsyncIterator[rtc.Room]:
    """Join the one room of a test."""
    token = api.AccessToken(KEYS.api_key, KEYS.api_secret).with_identity(identity)
    token.with_grants(api.VideoGrants(room_join=True, room="call"))
    room = rtc.Room()
    options = rtc.RoomOptions(auto_subscribe=identity != "deaf")
    await room.connect(server.address, token.to_jwt(), options)
    try:
        yield room
    finally:
        await room.disconnect()


class Listener:
    """Listens to the one track of a room until it is gone."""

    def __init__(self, room: rtc.Room) -> None:
        self._track: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        self._loud: list[int] = []
        room.on("track_subscribed", lambda track, *_: self._track.set_result(track))
        room.on("track_unsubscribed", lambda *_: self._gone.set())

    async def heard_seconds(self) -> float:
        """Return the time from the first to the last sound."""
        reading = asyncio.create_task(self._read(await self._track))
        await self._gone.wait()
        reading.cancel()
        await asyncio.wait([reading])
        return (self._loud[-1] - self._loud[0]) / SAMPLE_RATE

    async def _read(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)
        at = 0
        try:
            async for event in stream:
                at += event.frame.samples_per_channel
                if peak(event.frame.data) > 500:
                    self._loud.append(at)
        finally:
            await stream.aclose()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Part]:
    part = livekit_server(tmp_path / "livekit-server.log", KEYS)
    async with running([part]):
        yield part


@pytest.mark.server
async def test_a_line_is_heard_in_a_room_without_a_session(server: Part) -> None:
    """A participant hears the whole line, and the track is gone afterwards."""
    async with joined(server, "caller") as caller, joined(server, "agent") as agent:
        listener = Listener(caller)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            hearing = group.create_task(listener.heard_seconds())
            group.create_task(play_into_room(agent, FixedLine.ONE_MOMENT))
        assert hearing.result() == pytest.approx(duration(FixedLine.ONE_MOMENT), abs=0.15)
        assert not agent.local_participant.track_publications


@pytest.mark.server
async def test_nothing_is_said_when_nobody_listens(
    server: Part, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a subscriber the line is given up, and the log says so."""
    monkeypatch.setattr(fixed_lines, "_SUBSCRIBER_TIMEOUT", 0.2)
    async with joined(server, "deaf"), joined(server, "agent") as agent:
        with caplog.at_level(logging.WARNING, "thirdring.fixed_lines"):
            await play_into_room(agent, FixedLine.TIME_LIMIT)
        assert not agent.local_participant.track_publications
    assert "nobody listens" in caplog.text


class Ear(io.AudioOutput):
    """An output that keeps what a session plays, and plays it in no time."""

    def __init__(self) -> None:
        super().__init__(label="ear", capabilities=io.AudioOutputCapabilities(pause=False))
        self.heard = b""

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self.heard += bytes(frame.data)

    def flush(self) -> None:
        super().flush()
        self.on_playback_finished(playback_position=1.0, interrupted=False)

    def clear_buffer(self) -> None:
        pass


async def test_a_session_says_a_line_without_any_voice_of_its_own() -> None:
    """`say` with the frames of a line plays exactly its samples."""
    session: AgentSession[None] = AgentSession()
    session.output.audio = ear = Ear()
    line = FixedLine.ARE_YOU_THERE
    async with session, asyncio.timeout(30):
        await session.start(Agent(instructions=""))
        await session.say(line.text, audio=frames(line))
    samples = b"".join([bytes(frame.data) async for frame in frames(line)])
    assert samples == ear.heard


@pytest.mark.parametrize("line", FixedLine)
async def test_frames_have_the_length_asked_for(line: FixedLine) -> None:
    """Every frame is full, and together they hold the line."""
    lengths = [f.samples_per_channel async for f in frames(line, frame_ms=10)]
    assert set(lengths) == {240}
    assert 0 <= sum(lengths) / SAMPLE_RATE - duration(line) < 0.01


@pytest.mark.parametrize("line", FixedLine)
async def test_a_line_begins_at_once_and_loud_enough(line: FixedLine) -> None:
    """There is sound in the first 40 ms, and the level is that of speech without clipping."""
    levels = [peak(frame.data) async for frame in frames(line)]
    assert max(levels[:2]) > 1000
    assert 20_000 < max(levels) < 25_000


def test_the_recordings_are_small_and_licensed() -> None:
    """The WAV files take less than 1.5 MB, and their licence lies beside them."""
    sizes = [FOLDER.joinpath(f"{line}.wav").stat().st_size for line in FixedLine]
    assert sum(sizes) < 1_500_000
    assert "free of charge" in FOLDER.joinpath("LICENCE.md").read_text()
