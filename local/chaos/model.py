"""The model of a run: `python -m local.chaos.model`, which writes down every turn that is final.

Silent, it needs no sound at all: the caller of each connection "says" a numbered sentence whenever
so much audio has come, and gets a numbered answer, a short tone. With `--speech` it is the local
realtime server as it is. Either way each final turn becomes one line of `--log`, with the number of
the caller, which the instructions hold, and the time at which its event had been sent; a caller's
turn becomes one more when the job has read that event off its connection.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TextIO

import numpy as np
from aiohttp import WSMsgType, web

from local.chaos.unread import Connection
from local.realtime.brain import Act, Prompt, Say
from local.realtime.brain.dialogue import ScriptBrain
from local.realtime.brain.script import load_all
from local.realtime.configuration import SAMPLE_RATE, Configuration, TurnDetection
from local.realtime.protocol import new_id
from local.realtime.reflex import tone
from local.realtime.server import speech_engine
from local.realtime.session import Engine, RealtimeSession
from local.realtime.turns import HEARING_RATE, Heard, Samples, Signal

__all__ = ["main"]

_FIRST_TURN_MS = (900, 1500)
_NEXT_TURN_MS = (1100, 1600)
_TURN_MS = 60
_LOOKS_EVERY = 0.005
_ANSWER = tone(440, 0.12)
_CALLER = re.compile(r"The call comes from (\+\d+)")


@dataclass
class _Timetable:
    """Hears a turn when its time has come, whatever the audio is."""

    random: Random
    silence_ms: int = 0
    _heard_ms: float = 0.0
    _next_ms: float = field(init=False)
    _speaking: bool = False

    def __post_init__(self) -> None:
        self._next_ms = self.random.uniform(*_FIRST_TURN_MS)

    async def listen(self, pcm: bytes, detection: TurnDetection | None) -> tuple[Heard, ...]:
        del detection
        self._heard_ms += len(pcm) / 2 * 1000 / SAMPLE_RATE
        if self._heard_ms < self._next_ms:
            return ()
        if not self._speaking:
            self._speaking, self._next_ms = True, self._heard_ms + _TURN_MS
            return (Heard(Signal.STARTED, round(self._heard_ms)),)
        self._speaking = False
        self._next_ms = self._heard_ms + self.random.uniform(*_NEXT_TURN_MS)
        return (Heard(Signal.ENDED, round(self._heard_ms)),)

    def collected(self) -> Samples:
        return np.zeros(_TURN_MS * HEARING_RATE // 1000, np.float32)

    def clear(self) -> None:
        pass


@dataclass
class _Numbered:
    """One connection's caller and brain: both count."""

    name: str
    said: int = 0
    answered: int = 0

    async def transcribe(self, samples: Samples) -> str:
        del samples
        self.said += 1
        return f"{self.name} caller {self.said}"

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        del prompt
        self.answered += 1
        yield Say(f"{self.name} agent {self.answered}")

    def foresee(self, prompt: Prompt) -> str | None:
        del prompt
        return None


class _Beep:
    async def say(self, sentence: str, *, speed: float = 1.0) -> bytes:
        del sentence, speed
        return _ANSWER

    def prepare(self, sentence: str, *, speed: float = 1.0) -> None:
        pass


@dataclass
class _Witness:
    """Sends a connection's events and writes down what was final when."""

    log: TextIO
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    caller: str | None = None
    _seconds: float = 0.0
    _sent: int = 0
    _watching: set[asyncio.Task[None]] = field(default_factory=set)

    async def send(self, text: str) -> None:
        await self.socket.send_str(text)
        self._sent += len(text.encode())
        message = json.loads(text)
        match message["type"]:
            case "session.updated":
                found = _CALLER.search(message["session"].get("instructions") or "")
                self.caller = found[1] if found else self.caller
            case "input_audio_buffer.speech_started":
                self._note("speaks")
            case "response.output_audio.delta":
                self._seconds += len(message["delta"]) * 3 / 4 / 2 / SAMPLE_RATE
            case "conversation.item.input_audio_transcription.completed":
                self._note("caller", message["transcript"])
                watch = self._watch(message["transcript"], until=self._sent)
                self._watching.add(asyncio.create_task(watch))
            case "response.done":
                self._answered(message["response"])
            case _:
                pass

    async def _watch(self, transcript: str, *, until: int) -> None:
        """Note when the job has read the first `until` bytes."""
        # Frame headers are not counted: what is read is taken for read a little too late.
        while (unread := self._unread()) is not None and unread > self._sent - until:  # noqa: ASYNC110 - another process reads
            await asyncio.sleep(_LOOKS_EVERY)
        if unread is not None:
            self._note("taken", transcript)

    def _unread(self) -> int | None:
        ends = (self.transport.get_extra_info(name) for name in ("sockname", "peername"))
        unread = Connection.between(*ends).unread()
        return None if unread is None else unread + self.transport.get_write_buffer_size()

    def close(self) -> None:
        """Watch no longer: the connection is gone."""
        for task in self._watching:
            task.cancel()

    def _answered(self, response: dict[str, Any]) -> None:
        parts = [part for item in response["output"] for part in item.get("content", ())]
        text = " ".join(part.get("transcript") or "" for part in parts)
        if text:
            kind = "agent" if response["status"] == "completed" else "cut"
            self._note(kind, text, seconds=round(self._seconds, 3))
        self._seconds = 0.0

    def _note(self, kind: str, text: str = "", **more: float) -> None:
        if self.caller is not None and (text or kind == "speaks"):
            line = {"at": time.time(), "caller": self.caller, "kind": kind, "text": text, **more}
            self.log.write(json.dumps(line) + "\n")
            self.log.flush()


@dataclass
class _Server:
    log: TextIO
    key: str
    random: Random
    speech: Engine | None
    _count: int = 0

    async def realtime(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given, self.key):
            return web.Response(status=401)
        socket = web.WebSocketResponse(max_msg_size=16 * 1024 * 1024)
        await socket.prepare(request)
        begin = {"id": new_id("sess"), "model": request.query.get("model", "silent")}
        configuration = Configuration().model_copy(update=begin)
        assert request.transport is not None, "the request has just come"
        witness = _Witness(self.log, socket, request.transport)
        session = RealtimeSession(self.speech or self._silent(), configuration, witness.send)
        try:
            await session.run(_frames(socket))
        finally:
            witness.close()
        return socket

    def _silent(self) -> Engine:
        self._count += 1
        one = _Numbered(f"session {self._count}")
        timetable = _Timetable(Random(self.random.random()))
        return Engine(lambda: timetable, one, one, _Beep())


async def _frames(socket: web.WebSocketResponse) -> AsyncIterator[str | bytes]:
    async for message in socket:
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            yield message.data


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        log = stack.enter_context(options.log.open("a", encoding="utf-8"))
        speech = None
        if options.speech:
            brain = ScriptBrain(load_all(Path("workflows")))
            speech = await stack.enter_async_context(speech_engine(brain))
        server = _Server(log, os.environ[options.api_key_env], Random(options.seed), speech)
        app = web.Application()
        app.router.add_get("/healthz", _healthz)
        app.router.add_get("/v1/realtime", server.realtime)
        runner = web.AppRunner(app, shutdown_timeout=1, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", options.port).start()
        await stopped.wait()


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit code."""
    parser = argparse.ArgumentParser("python -m local.chaos.model", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True, help="lines are appended to it")
    parser.add_argument("--api-key-env", metavar="NAME", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speech", action="store_true", help="hear, and speak by the scripts")
    asyncio.run(_serve(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
