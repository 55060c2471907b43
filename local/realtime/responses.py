"""One reply at a time: its events in order, its cancellation, its usage."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from local.realtime.brain import Act, Brain, BrainError, Call, Prompt, Say
from local.realtime.conversation import Conversation, Item, Segment
from local.realtime.formats import SAMPLE_RATE, bytes_per_ms, encoded
from local.realtime.protocol import JsonObject, Refusal, SlowClient, event, new_id
from local.realtime.requests import Request
from local.realtime.sentences import sentences
from local.realtime.usage import Tokens, input_tokens, output_tokens, usage

if TYPE_CHECKING:
    from local.realtime.voice import Voice

__all__ = ["Emit", "Responder"]

logger = logging.getLogger(__name__)

Emit = Callable[[JsonObject], None]
Reason = Literal["turn_detected", "client_cancelled"]

_FIRST_DELTAS_MS = (40, 60, 100)
_DELTA_MS = 100
_DELTA_PAUSE = 0.005
"""Seconds between deltas: 20 times faster than real time, and other callers get their turn."""
_STALE_CANCEL_SECONDS = 1.0
_MOST_ASIDE = 8
"""Responses out of band at one time: a client that asks for more is broken."""


def _cancelled(reason: Reason) -> JsonObject:
    return {"type": "cancelled", "reason": reason}


@dataclass
class _Response:
    request: Request
    id: str = field(default_factory=lambda: new_id("resp"))
    items: list[Item] = field(default_factory=list)
    message: Item | None = None
    read: Tokens = field(default_factory=Tokens)

    @property
    def modality(self) -> str:
        return self.request.configuration.output_modalities[0]


@dataclass
class Responder:
    """The replies of one connection."""

    brain: Brain
    voice: Voice
    conversation: Conversation
    emit: Emit
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    _active: _Response | None = None
    _task: asyncio.Task[None] | None = None
    _aside: dict[str, tuple[_Response, asyncio.Task[None]]] = field(default_factory=dict)
    """Those out of band, by id: they run beside the one that the caller hears."""
    _cached: Tokens = field(default_factory=Tokens)
    _stale_cancel_until: float = 0.0

    @property
    def spoken(self) -> bool:
        """Whether a reply has been heard."""
        return any(item.role == "assistant" and item.audio_ms for item in self.conversation)

    def start(self, request: Request) -> None:
        """Begin a reply.

        Raises:
            Refusal: Another one is running, or too many out of band.
        """
        if not request.kept:
            self._start_aside(request)
            return
        if self._active is not None:
            raise Refusal(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self._active.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        self._active = response = _Response(request)
        self.emit(event("response.created", response=self._wire(response, "in_progress")))
        self._task = self.spawn(self._run(response))

    def _start_aside(self, request: Request) -> None:
        if len(self._aside) >= _MOST_ASIDE:
            why = f"{_MOST_ASIDE} responses out of band are in progress; wait until one is done."
            raise Refusal("conversation_already_has_active_response", why)
        response = _Response(request)
        self.emit(event("response.created", response=self._wire(response, "in_progress")))
        self._aside[response.id] = response, self.spawn(self._run(response))

    def interrupt(self) -> None:
        """Cancel the running reply because the caller speaks; nothing when there is none."""
        if self._active is None:
            return
        self._cancel("turn_detected")
        # The client hears of the interruption and sends a `response.cancel` without an id for it,
        # which must not hit the reply that may have begun meanwhile.
        self._stale_cancel_until = asyncio.get_running_loop().time() + _STALE_CANCEL_SECONDS

    def cancel(self, response_id: str | None) -> None:
        """Cancel the running reply because the client wants it.

        Raises:
            Refusal: It does not run (any more).
        """
        if response_id in self._aside:
            response, task = self._aside[response_id]
            task.cancel()
            self._finish(response, "cancelled", _cancelled("client_cancelled"))
            return
        now = asyncio.get_running_loop().time()
        stale = response_id is None and now < self._stale_cancel_until
        self._stale_cancel_until = 0.0
        if stale or self._active is None or response_id not in (None, self._active.id):
            raise Refusal(
                "response_cancel_not_active", "Cancellation failed: no active response found"
            )
        self._cancel("client_cancelled")

    def _cancel(self, reason: Reason) -> None:
        assert self._active is not None
        if self._task is not None:
            self._task.cancel()
        self._finish(self._active, "cancelled", _cancelled(reason))

    async def _run(self, response: _Response) -> None:
        try:
            # Closed at once, however this ends: a chat model must not go on writing for nobody.
            async with contextlib.aclosing(self.brain.reply(self._prompt(response))) as acts:
                async for act in acts:
                    await self._do(response, act)
                    if self._is_full(response):
                        details = {"type": "incomplete", "reason": "max_output_tokens"}
                        self._finish(response, "incomplete", details)
                        return
        except BrainError as error:
            logger.warning("no reply (%s): %s", error.code, error)
            self._fail(response, error.code, str(error))
        except SlowClient:
            raise
        except Exception:  # a caller must not lose the line by a fault of ours
            logger.exception("no reply")
            self._fail(response, "internal_error", "The reply could not be made; see the log.")
        else:
            # A client that gets everything in one gulp may see the end before it has begun to read;
            # one that has run a call already asks for the next reply, so then it must be over.
            if response.message is not None:
                await asyncio.sleep(_DELTA_PAUSE)
            self._finish(response, "completed", None)

    async def _do(self, response: _Response, act: Act) -> None:
        if isinstance(act, Call):
            await asyncio.sleep(_DELTA_PAUSE)
            self._call(response, act)
        else:
            await self._say(response, act)

    def _fail(self, response: _Response, code: str, message: str) -> None:
        problem = {"type": "server_error", "code": code, "message": message}
        self._finish(response, "failed", {"type": "failed", "error": problem})

    def _prompt(self, response: _Response) -> Prompt:
        configuration = response.request.configuration
        given = response.request.items
        items = tuple(self.conversation) if given is None else given
        response.read = input_tokens(configuration, items)
        return Prompt(
            instructions=configuration.instructions,
            request=response.request.instructions,
            items=items,
            requested=response.request.requested,
            tools=configuration.tools,
            tool_choice=configuration.tool_choice,
        )

    def _is_full(self, response: _Response) -> bool:
        limit = response.request.configuration.max_output_tokens
        done = [*response.items, *([response.message] if response.message else [])]
        return limit != "inf" and output_tokens(done).total > limit

    def _call(self, response: _Response, act: Call) -> None:
        self._close_message(response, "completed")
        item = Item(
            new_id("item"),
            "function_call",
            role="assistant",
            call_id=new_id("call"),
            name=act.name,
            arguments=act.arguments,
        )
        self._add(response, replace(item, status="in_progress"))
        place = self._place(response, item)
        arguments = {"call_id": item.call_id, "name": item.name, "arguments": item.arguments}
        self.emit(
            event(
                "response.function_call_arguments.delta",
                **place,
                call_id=item.call_id,
                delta=item.arguments,
            )
        )
        self.emit(event("response.function_call_arguments.done", **place, **arguments))
        self._close(response, item)

    async def _say(self, response: _Response, act: Say) -> None:
        pieces = sentences(act.text)
        audible = response.modality == "audio"
        speed = response.request.configuration.audio.output.speed
        for index, piece in enumerate(pieces):
            if not audible:
                self._open_message(response)
                self._write(response, piece)
                await asyncio.sleep(0)
                continue
            # Announced before the audio is there: the client prepares its side meanwhile.
            self._open_message(response)
            audio = await self.voice.say(piece, speed=speed)
            for later in pieces[index + 1 : index + 2]:
                self.voice.prepare(later, speed=speed)
            await self._stream(response, piece, audio)

    def _open_message(self, response: _Response) -> None:
        if response.message is not None:
            return
        spoken = response.modality == "audio"
        item = Item(
            new_id("item"), "message", role="assistant", spoken=spoken, status="in_progress"
        )
        response.message = item
        self._add(response, item)
        part: JsonObject = (
            {"type": "audio", "transcript": ""} if spoken else {"type": "text", "text": ""}
        )
        place = self._place(response, item)
        self.emit(event("response.content_part.added", **place, content_index=0, part=part))

    def _write(self, response: _Response, piece: str) -> None:
        assert response.message is not None
        item, kind = response.message, "response.output_text.delta"
        if item.spoken:
            kind = "response.output_audio_transcript.delta"
        delta = f" {piece}" if item.text else piece
        self._replace_message(response, replace(item, text=item.text + delta))
        place = self._place(response, item)
        self.emit(event(kind, **place, content_index=0, delta=delta))

    async def _stream(self, response: _Response, piece: str, audio: bytes) -> None:
        first = response.message is not None and response.message.audio_ms == 0
        self._write(response, piece)
        assert response.message is not None
        place = self._place(response, response.message)
        milliseconds = len(audio) * 1000 // (2 * SAMPLE_RATE)
        segments = (*response.message.segments, Segment(piece, milliseconds))
        item = replace(response.message, segments=segments)
        self._replace_message(
            response, replace(item, audio_ms=sum(segment.milliseconds for segment in segments))
        )
        wire_format = response.request.configuration.audio.output.format
        audio, rate = encoded(audio, wire_format), bytes_per_ms(wire_format)
        sizes, start = iter(_FIRST_DELTAS_MS if first else ()), 0
        while start < len(audio):
            end = start + next(sizes, _DELTA_MS) * rate
            delta = base64.b64encode(audio[start:end]).decode()
            self.emit(event("response.output_audio.delta", **place, content_index=0, delta=delta))
            start = end
            await asyncio.sleep(_DELTA_PAUSE)

    def _replace_message(self, response: _Response, item: Item) -> None:
        response.message = item
        if response.request.kept:
            self.conversation.put(item)

    def _add(self, response: _Response, item: Item) -> None:
        place = {"response_id": response.id, "output_index": len(response.items)}
        shown = item.wire(blank=True)
        self.emit(event("response.output_item.added", **place, item=shown))
        if response.request.kept:
            previous = self.conversation.add(item)
            self.emit(event("conversation.item.added", previous_item_id=previous, item=shown))

    def _place(self, response: _Response, item: Item) -> JsonObject:
        index = len(response.items)
        return {"response_id": response.id, "item_id": item.id, "output_index": index}

    def _close_message(
        self, response: _Response, status: Literal["completed", "incomplete"]
    ) -> None:
        item, response.message = response.message, None
        if item is None:
            return
        place = {**self._place(response, item), "content_index": 0}
        if item.spoken:
            self.emit(event("response.output_audio.done", **place))
            kind = "response.output_audio_transcript.done"
            self.emit(event(kind, **place, transcript=item.text))
            part = {"type": "audio", "transcript": item.text}
        else:
            self.emit(event("response.output_text.done", **place, text=item.text))
            part = {"type": "text", "text": item.text}
        self.emit(event("response.content_part.done", **place, part=part))
        self._close(response, replace(item, status=status))

    def _close(self, response: _Response, item: Item) -> None:
        place = {"response_id": response.id, "output_index": len(response.items)}
        self.emit(event("response.output_item.done", **place, item=item.wire()))
        if response.request.kept:
            self.conversation.put(item)
            previous = self.conversation.before(item.id)
            done = event("conversation.item.done", previous_item_id=previous, item=item.wire())
            self.emit(done)
        response.items.append(item)

    def _finish(
        self,
        response: _Response,
        status: Literal["completed", "cancelled", "incomplete", "failed"],
        details: JsonObject | None,
    ) -> None:
        self._close_message(response, "completed" if status == "completed" else "incomplete")
        written = output_tokens(response.items)
        figures = usage(response.read, self._cached, written)
        self._cached = response.read
        if response is self._active:
            self._active = self._task = None
        self._aside.pop(response.id, None)
        done = self._wire(response, status, details=details, figures=figures)
        self.emit(event("response.done", response=done))

    def _wire(
        self,
        response: _Response,
        status: str,
        *,
        details: JsonObject | None = None,
        figures: JsonObject | None = None,
    ) -> JsonObject:
        configuration = response.request.configuration
        output = configuration.audio.output
        voice = output.voice if isinstance(output.voice, str) else output.voice.id
        return {
            "object": "realtime.response",
            "id": response.id,
            "status": status,
            "status_details": details,
            "output": [item.wire() for item in response.items],
            "conversation_id": "conv_local" if response.request.kept else None,
            "output_modalities": list(configuration.output_modalities),
            "max_output_tokens": configuration.max_output_tokens,
            "audio": {
                "output": {"format": output.format.model_dump(), "voice": voice},
            },
            "usage": figures,
            "metadata": response.request.metadata,
        }
