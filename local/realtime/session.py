"""One connection: its client events are done in their order, its server events written in theirs.

Events are put into a queue and written by a task of their own, so nothing that decides ever waits
for the network. Work that takes time (writing a turn, a reply) runs beside the reading of events;
otherwise a caller could not interrupt.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from local.realtime import protocol
from local.realtime.brain import Brain, Prompt
from local.realtime.configuration import Configuration, SemanticVad, ServerVad, updated
from local.realtime.conversation import Conversation, Item, item_from_client
from local.realtime.formats import SAMPLE_RATE, Decoder
from local.realtime.protocol import (
    JsonObject,
    Refusal,
    SlowClient,
    error_event,
    event,
    internal_error,
    new_id,
)
from local.realtime.requests import Request, requested
from local.realtime.responses import Responder
from local.realtime.sentences import sentences
from local.realtime.turns import HEARING_RATE, Ears, Heard, Samples, Signal, as_heard, patience
from local.realtime.words import sounds_finished

if TYPE_CHECKING:
    # Their modules load packages that the reflex does without.
    from local.realtime.hearing import Scribe
    from local.realtime.voice import Voice

__all__ = ["Engine", "RealtimeSession", "SlowClient"]

logger = logging.getLogger(__name__)

_MOST_UNSENT = 5000
"""Events; a client that leaves so many unread is gone or broken."""
_MANY_UNSENT = 100
"""Events after which the one who writes them gets a turn before the next one is read."""
_SHORTEST_COMMIT_MS = 100


@dataclass(frozen=True)
class Engine:
    """What all connections share, and how each gets its own ears."""

    ears: Callable[[], Ears]
    scribe: Scribe
    brain: Brain
    voice: Voice


@dataclass
class RealtimeSession:
    """The state of one connection."""

    engine: Engine
    _configuration: Configuration
    send: Callable[[str], Awaitable[None]]
    _conversation: Conversation = field(default_factory=Conversation)
    _outbox: asyncio.Queue[JsonObject] = field(default_factory=asyncio.Queue)
    _tasks: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    _running: set[asyncio.Task[Any]] = field(default_factory=set)
    _writing_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _guess: asyncio.Task[str | None] | None = None
    """Writes a turn that may be over while its silence is still being waited for."""
    _speech_item: str | None = None
    _decoder: Decoder = field(default_factory=Decoder)
    _appended: int = 0
    """Bytes since the last turn; the ears hold what is no whole window back."""

    def __post_init__(self) -> None:
        self._ears = self.engine.ears()
        self._responder = Responder(
            self.engine.brain, self.engine.voice, self._conversation, self._emit, self._spawn
        )

    async def run(self, frames: AsyncIterator[str | bytes]) -> None:
        """Serve until the client leaves; a binary frame is no event.

        Raises:
            SlowClient: It does not read.
        """
        try:
            async with self._tasks:
                self._emit(event("session.created", session=self._configuration.wire()))
                self._spawn(self._write())
                async for frame in frames:
                    await self._receive(frame)
                    if self._outbox.qsize() >= _MANY_UNSENT:
                        # Frames that are there already are read without a pause.
                        await asyncio.sleep(0)
                for task in self._running:
                    task.cancel()
        except BaseExceptionGroup as group:
            if slow := group.subgroup(SlowClient):
                raise SlowClient(str(slow.exceptions[0])) from None
            raise

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _emit(self, message: JsonObject) -> None:
        if self._outbox.qsize() >= _MOST_UNSENT:
            raise SlowClient(f"{_MOST_UNSENT} events were left unread")
        self._outbox.put_nowait(message)

    async def _write(self) -> None:
        # A client that has gone is noticed by the reader, which then ends the session.
        with contextlib.suppress(ConnectionError):
            while True:
                await self.send(json.dumps(await self._outbox.get()))

    async def _receive(self, frame: str | bytes) -> None:
        event_id = None
        try:
            message = protocol.parse(frame)
            event_id = message.event_id
            await self._do(message)
        except Refusal as refusal:
            logger.info("refused (%s): %s", refusal.code, refusal)
            self._emit(error_event(refusal, event_id or _event_id(frame)))
        except SlowClient:
            raise
        except Exception:  # a caller must not lose the line by a fault of ours
            logger.exception("an event could not be done")
            self._emit(internal_error("The event could not be done; see the log.", event_id))

    async def _do(self, message: protocol.ClientEvent) -> None:
        match message:
            case protocol.Append():
                wire_format = self._configuration.audio.input.format
                await self._append(self._decoder.decode(message.audio, wire_format))
            case protocol.UpdateSession():
                self._update(message)
            case protocol.Commit():
                self._commit()
            case protocol.Clear():
                self._forget_turn()
                self._drop_guess()
                self._emit(event("input_audio_buffer.cleared"))
            case protocol.CreateItem():
                await self._create_item(message)
            case protocol.CreateResponse():
                self._create_response(message)
            case protocol.Cancel():
                self._responder.cancel(message.response_id)
            case protocol.ClearOutput():
                why = (
                    "'output_audio_buffer.clear' is for WebRTC and SIP: a WebSocket's client plays."
                )
                raise Refusal("invalid_value", why, param="type")
            case _:
                self._change_conversation(message)

    def _update(self, message: protocol.UpdateSession) -> None:
        changed = updated(self._configuration, message.session)
        if self._responder.spoken and changed.voice != self._configuration.voice:
            why = "The voice cannot be changed once it has been heard in this conversation."
            raise Refusal("cannot_update_voice", why, param="session.audio.output.voice")
        self._configuration = changed
        self._emit(event("session.updated", session=changed.wire()))
        if "instructions" in message.session and self._conversation.last_id is None:
            # The greeting will be asked for soon.
            self._prepare()

    async def _create_item(self, message: protocol.CreateItem) -> None:
        item = item_from_client(message.item)
        if item.spoken and item.role == "user" and not item.text:
            # Its words are waited for: the reply that is asked for next must know them.
            pcm = self._audio_of(message.item)
            # A frame can hold minutes: other callers are not to wait for their resampling.
            samples = await asyncio.to_thread(as_heard, pcm)
            text = await self._transcribe(samples) or ""
            length = len(pcm) * 1000 // (2 * SAMPLE_RATE)
            item = replace(item, text=text, audio_ms=length)
        previous = self._conversation.add(item, after=message.previous_item_id)
        self._show(item, previous)

    def _audio_of(self, item: JsonObject) -> bytes:
        wire_format = self._configuration.audio.input.format
        return b"".join(
            Decoder().decode(part.get("audio") or "", wire_format, at=f"item.content.{n}.audio")
            for n, part in enumerate(item["content"])
        )

    def _change_conversation(self, message: protocol.ClientEvent) -> None:
        match message:
            case protocol.DeleteItem():
                self._conversation.delete(message.item_id)
                self._emit(event("conversation.item.deleted", item_id=message.item_id))
            case protocol.RetrieveItem():
                item = self._conversation.get(message.item_id)
                self._emit(event("conversation.item.retrieved", item=item.wire()))
            case protocol.TruncateItem():
                self._conversation.truncate(message.item_id, message.audio_end_ms)
                place = {"item_id": message.item_id, "content_index": message.content_index}
                end = message.audio_end_ms
                self._emit(event("conversation.item.truncated", **place, audio_end_ms=end))
            case _:
                raise AssertionError(message)

    def _show(self, item: Item, previous: str | None, *, blank: bool = False) -> None:
        for kind in ("conversation.item.added", "conversation.item.done"):
            self._emit(event(kind, previous_item_id=previous, item=item.wire(blank=blank)))

    # The caller's turn

    @property
    def _detection(self) -> ServerVad | SemanticVad | None:
        return self._configuration.audio.input.turn_detection

    async def _append(self, pcm: bytes) -> None:
        self._appended += len(pcm)
        for heard in await self._ears.listen(pcm, self._detection):
            self._heard(heard)

    def _heard(self, heard: Heard) -> None:
        detection = self._detection
        assert detection is not None
        match heard.signal:
            case Signal.STARTED:
                self._speech_item = new_id("item")
                kind = "input_audio_buffer.speech_started"
                self._emit(event(kind, item_id=self._speech_item, audio_start_ms=heard.at_ms))
                if detection.interrupt_response:
                    self._responder.interrupt()
            case Signal.PAUSED:
                self._guess = self._spawn(self._foresee(self._ears.collected()))
            case Signal.RESUMED:
                self._drop_guess()
                self._ears.silence_ms = patience(detection).unfinished_ms
            case Signal.ENDED:
                item_id = self._speech_item or new_id("item")
                kind = "input_audio_buffer.speech_stopped"
                self._emit(event(kind, item_id=item_id, audio_end_ms=heard.at_ms))
                self._end_turn(item_id, respond=detection.create_response)

    def _drop_guess(self) -> None:
        if self._guess is not None:
            self._guess.cancel()
            self._guess = None

    async def _transcribe(self, samples: Samples) -> str | None:
        """Return the words; None when the recogniser failed."""
        try:
            return await self.engine.scribe.transcribe(samples)
        except Exception:  # the caller is asked again, and the client told
            logger.exception("a turn could not be transcribed")
            return None

    async def _foresee(self, samples: Samples) -> str | None:
        """Write the words so far and prepare the answer to them, in case the turn is over."""
        transcript = await self._transcribe(samples)
        if not transcript:
            return transcript
        detection = self._detection
        if detection is not None and sounds_finished(transcript):
            self._ears.silence_ms = patience(detection).finished_ms
        item = Item("guess", "message", text=transcript)
        if detection is not None and detection.create_response:
            self._prepare(item)
        return transcript

    def _prepare(self, *items: Item) -> None:
        """Begin to synthesise what these items, coming next, would be answered with."""
        prompt = Prompt(
            instructions=self._configuration.instructions,
            request=None,
            items=(*self._conversation, *items),
            tools=self._configuration.tools,
            tool_choice=self._configuration.tool_choice,
        )
        try:
            answer = self.engine.brain.foresee(prompt)
        except Exception:  # the reply itself will say so
            logger.exception("the answer could not be foreseen")
            return
        if answer and self._configuration.output_modalities[0] == "audio":
            speed = self._configuration.audio.output.speed
            # Only the first sentence: the second would slow it down, and can be made while the
            # first is played.
            for first in sentences(answer)[:1]:
                self.engine.voice.prepare(first, speed=speed)

    def _commit(self) -> None:
        collected = len(self._ears.collected()) * 1000 // HEARING_RATE
        length = max(collected, self._appended * 1000 // (2 * SAMPLE_RATE))
        if length < _SHORTEST_COMMIT_MS:
            raise Refusal(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{_SHORTEST_COMMIT_MS} ms of audio, but it has {length} ms.",
            )
        self._drop_guess()
        # The client decides when to reply to a turn that it ends itself.
        self._end_turn(self._speech_item or new_id("item"), respond=False)

    def _forget_turn(self) -> None:
        self._ears.clear()
        self._appended = 0

    def _end_turn(self, item_id: str, *, respond: bool) -> None:
        samples, guess = self._ears.collected(), self._guess
        self._forget_turn()
        self._speech_item = self._guess = None
        length = len(samples) * 1000 // HEARING_RATE
        item = Item(item_id, "message", role="user", spoken=True, audio_ms=length)
        previous = self._conversation.last_id
        kind = "input_audio_buffer.committed"
        self._emit(event(kind, item_id=item_id, previous_item_id=previous))
        self._conversation.add(item)
        self._show(item, previous, blank=True)
        self._spawn(self._finish_turn(item, samples, guess, respond=respond))

    async def _finish_turn(
        self, item: Item, samples: Samples, guess: asyncio.Task[str | None] | None, *, respond: bool
    ) -> None:
        async with self._writing_turn:
            if guess is not None:
                transcript = await guess
            else:
                transcript = await self._transcribe(samples)
            self._conversation.put(replace(item, text=transcript or ""))
            if self._configuration.audio.input.transcription is not None:
                self._tell_transcript(item, transcript)
            if respond:
                self._respond()

    def _tell_transcript(self, item: Item, transcript: str | None) -> None:
        kind = "conversation.item.input_audio_transcription"
        place = {"item_id": item.id, "content_index": 0}
        if transcript is None:
            why = {"type": "server_error", "code": "transcription_failed"}
            error = {**why, "message": "The turn could not be transcribed; see the log."}
            self._emit(event(f"{kind}.failed", **place, error=error))
            return
        if transcript:
            self._emit(event(f"{kind}.delta", **place, delta=transcript))
        usage = {"type": "duration", "seconds": item.audio_ms / 1000}
        self._emit(event(f"{kind}.completed", **place, transcript=transcript, usage=usage))

    # Replies

    def _respond(self) -> None:
        try:
            self._responder.start(Request(self._configuration))
        except Refusal as refusal:
            # Only with interrupt_response false: the caller spoke while we did.
            self._emit(error_event(refusal, None))

    def _create_response(self, message: protocol.CreateResponse) -> None:
        asked = message.response or protocol.ResponseParameters()
        self._responder.start(requested(asked, self._configuration, self._conversation))


def _event_id(frame: str | bytes) -> str | None:
    try:
        document = json.loads(frame)
    except (ValueError, RecursionError):
        return None
    found = document.get("event_id") if isinstance(document, dict) else None
    return found if isinstance(found, str) else None
