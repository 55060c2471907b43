"""What those who watch a call are shown while it lasts, beside what is said.

Each happening is one JSON object:

```
{"type": "turn", "role": "agent", "text": "We are open ...", "interrupted": false}
{"type": "tool", "id": "call_1", "name": "find_slots", "state": "started",
 "arguments": {"day": "Monday"}}
{"type": "tool", "id": "call_1", "name": "find_slots", "state": "done",
 "arguments": {"day": "Monday"}, "result": "...", "seconds": 0.12}
{"type": "latency", "kind": "reply", "milliseconds": 870}
{"type": "refused", "reason": "not_in_service", "message": "metadata.line: no line has ..."}
{"type": "ended", "reason": "agent_hung_up", "detail": null}
```

The last state of a tool is `done`, `refused` (a rule said no) or `failed`; `result` is what the
model heard, and left out when it is nothing. `kind` is that of `thirdring.calls.Latency`, `reason`
a `thirdring.calls.EndReason`, or `room_taken`: another caller has this room.

A browser whose token has the attribute `thirdring.watch` = `true` gets them as reliable data
packets of the topic `thirdring.events`, at most 15 KiB each (what is longer is cut in its arguments
and result); no `turn`, for words come by LiveKit's own `lk.transcription`. Nobody else in the room
gets them, phones never. Nothing waits for them and nothing fails with them.

`ended` is no packet, which the deletion of the room would overtake, but stands in the agent's
attribute `thirdring.farewell`: livekit-server sends it ahead of the deletion, and to a browser that
has no media yet.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from livekit import rtc
from livekit.agents import (
    AgentSession,
    FunctionToolsExecutedEvent,
    ToolCallEnded,
    ToolCallStarted,
    ToolExecutionUpdatedEvent,
    llm,
)
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from thirdring.calls import Role
from thirdring.recorder import json_value
from thirdring.state import CallState

__all__ = [
    "ATTRIBUTE",
    "FAREWELL",
    "TOPIC",
    "Happening",
    "HasEnded",
    "IsRefused",
    "Packets",
    "Spoken",
    "ToolRun",
    "Wait",
    "Watch",
    "packet",
    "watch_tools",
]

logger = logging.getLogger(__name__)

ATTRIBUTE: Final = "thirdring.watch"
"""Of a participant, `true` for one who watches; only a token can set it."""

FAREWELL: Final = "thirdring.farewell"
"""Of the agent, while it ends the call of somebody who watches."""

TOPIC: Final = "thirdring.events"

_LONGEST_PACKET: Final = 15 * 1024
_LONGEST_PART: Final = 3000
_SENDING_SECONDS: Final = 1.0


class _Happening(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spoken(_Happening):
    type: Literal["turn"] = "turn"
    role: Role
    text: str
    interrupted: bool = False


class ToolRun(_Happening):
    type: Literal["tool"] = "tool"
    id: str
    name: str
    state: Literal["started", "done", "refused", "failed"]
    arguments: JsonValue
    result: str | None = None
    seconds: float | None = Field(default=None, ge=0)


class Wait(_Happening):
    type: Literal["latency"] = "latency"
    kind: Literal["greeting", "reply"]
    milliseconds: float = Field(ge=0)


class IsRefused(_Happening):
    type: Literal["refused"] = "refused"
    reason: str
    message: str


class HasEnded(_Happening):
    type: Literal["ended"] = "ended"
    reason: str
    detail: str | None


Happening = Spoken | ToolRun | Wait | IsRefused | HasEnded

Watch = Callable[[Happening], None]
"""Is told of each happening, on the event loop; must neither wait nor raise."""


class _Tools:
    """From what a session reports of its tools to happenings: two for each use."""

    def __init__(self, state: CallState, watch: Watch) -> None:
        self._state = state
        self._watch = watch
        self._running: dict[str, tuple[llm.FunctionCall, float]] = {}
        self._seen: set[str] = set()

    def on_update(self, event: ToolExecutionUpdatedEvent) -> None:
        update = event.update
        if isinstance(update, ToolCallStarted):
            call = update.function_call
            self._seen.add(call.call_id)
            self._running[call.call_id] = (call, time.monotonic())
            self._watch(_run(call, "started"))
        elif isinstance(update, ToolCallEnded) and update.call_id in self._running:
            call, began = self._running.pop(update.call_id)
            seconds = round(time.monotonic() - began, 3)
            self._watch(_run(call, self._state_of(update), result=update.message, seconds=seconds))

    def on_executed(self, event: FunctionToolsExecutedEvent) -> None:
        # A tool that the model has invented, or called with wrong arguments, has never started.
        for call, output in event.zipped():
            if call.call_id not in self._seen:
                self._watch(_run(call, "failed", result=output.output, seconds=0))

    def _state_of(self, update: ToolCallEnded) -> Literal["done", "refused", "failed"]:
        if update.status == "done":
            return "done"
        return "refused" if update.call_id in self._state.refused else "failed"


def _run(
    call: llm.FunctionCall,
    state: Literal["started", "done", "refused", "failed"],
    *,
    result: str | None = None,
    seconds: float | None = None,
) -> ToolRun:
    return ToolRun(
        id=call.call_id,
        name=call.name,
        state=state,
        arguments=json_value(call.arguments),
        result=result,
        seconds=seconds,
    )


def watch_tools(session: AgentSession[CallState], watch: Watch) -> None:
    """Tell `watch` of every tool that this session uses."""
    tools = _Tools(session.userdata, watch)
    session.on("tool_execution_updated", tools.on_update)
    session.on("function_tools_executed", tools.on_executed)


def packet(happening: Happening) -> bytes:
    """Return the happening as a JSON object of at most 15 KiB."""
    document = happening.model_dump(mode="json", exclude_none=not isinstance(happening, HasEnded))
    data = _json(document)
    if len(data) > _LONGEST_PACKET:
        data = _json({name: _cut(value, _LONGEST_PART) for name, value in document.items()})
    if len(data) > _LONGEST_PACKET:
        data = _json({name: _cut(value, _LONGEST_PART // 10) for name, value in document.items()})
    return data


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _cut(value: JsonValue, longest: int) -> JsonValue:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= longest else f"{text[: longest - 1]}…"


class Packets:
    """Sends happenings to one participant of a room, in their order.

    Args:
        room: Connected.
        identity: Who watches.
    """

    def __init__(self, room: rtc.Room, identity: str) -> None:
        self._room = room
        self._identity = identity
        self._last: asyncio.Task[None] | None = None

    def __call__(self, happening: Happening) -> None:
        """Send soon; words come to a browser another way."""
        if not isinstance(happening, Spoken):
            self._last = asyncio.create_task(self._send(packet(happening), after=self._last))

    def farewell(self, happening: HasEnded) -> None:
        """Say why the call ends, in the attribute; everybody in the room can read that."""
        self._last = asyncio.create_task(self._leave(packet(happening), after=self._last))

    async def sent(self) -> None:
        """Wait until livekit-server has passed the farewell on; 1 s at most."""
        if self._last is not None:
            await asyncio.wait([self._last], timeout=_SENDING_SECONDS)

    async def _send(self, data: bytes, *, after: asyncio.Task[None] | None) -> None:
        async with _in_turn(after):
            await self._room.local_participant.publish_data(
                data, destination_identities=[self._identity], topic=TOPIC
            )

    async def _leave(self, data: bytes, *, after: asyncio.Task[None] | None) -> None:
        async with _in_turn(after):
            await self._room.local_participant.set_attributes({FAREWELL: data.decode()})


@asynccontextmanager
async def _in_turn(after: asyncio.Task[None] | None) -> AsyncIterator[None]:
    if after is not None:
        await asyncio.wait([after])
    try:
        yield
    except Exception:  # the room may go at any moment
        logger.debug("whoever watches missed something", exc_info=True)
