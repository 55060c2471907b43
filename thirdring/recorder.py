"""From what an agent session reports to journal entries."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    ConversationItemAddedEvent,
    ErrorEvent,
    FunctionToolsExecutedEvent,
    SessionUsageUpdatedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
    llm,
)
from livekit.agents.metrics import LLMModelUsage, STTModelUsage
from livekit.agents.voice import ToolCallEnded, ToolCallStarted, ToolExecutionUpdatedEvent
from pydantic import JsonValue

from thirdring.calls import Latency, Role, ToolUse, Turn, Usage
from thirdring.clock import Clock
from thirdring.conversation import Conversation
from thirdring.journal import (
    Entry,
    LatencyMeasured,
    ModelFault,
    ToolBegun,
    ToolUsed,
    TurnSpoken,
    UsageCounted,
)

__all__ = ["Recorder", "json_value", "turn"]

logger = logging.getLogger(__name__)

_SAME_UTTERANCE_SECONDS = 0.5
"""How far apart two reports of when an utterance began may be."""


class Recorder:
    """Listens to one session and appends what it hears to the journal.

    Attributes:
        conversation: What was said so far.
    """

    def __init__(self, append: Callable[[Entry], None], clock: Clock) -> None:
        self._write = append
        self._clock = clock
        self.conversation = Conversation()
        self._speech_began_at: float | None = None
        self._speech_ended_at: float | None = None
        # What the caller was understood to say so far, by item; gone when it is complete.
        self._unfinished: dict[str | None, tuple[str, float]] = {}
        self._understood = self.conversation.understood
        # When the last utterance that is written down began.
        self._understood_from = 0.0
        self._speaks = False
        self._tools: dict[str, ToolUse] = {}
        self._unanswered_since: float | None = None
        self._reply: tuple[float, float] | None = None
        self._answered_at: datetime | None = None
        self._greeted = False
        self._counted: dict[str, Usage] = {}

    def _append(self, entry: Entry) -> None:
        if isinstance(entry, TurnSpoken):
            self.conversation.turns.append(entry.turn)
        self._write(entry)

    def attach(self, session: AgentSession[Any]) -> None:
        """Listen to this session until it closes."""
        session.on("conversation_item_added", self._on_item)
        session.on("tool_execution_updated", self._on_tool)
        session.on("function_tools_executed", self._on_tools)
        session.on("user_input_transcribed", self._on_words)
        session.on("session_usage_updated", self._on_usage)
        session.on("user_state_changed", self._on_user_state)
        session.on("agent_state_changed", self._on_agent_state)
        session.on("error", self._on_error)

    def answered(self, at: datetime) -> None:
        """Start the wait for the greeting."""
        self._answered_at = at

    @property
    def has_understood(self) -> bool:
        """Whether all that the caller has said is written down."""
        return self._understood.is_set()

    async def understood(self, seconds: float) -> None:
        """Wait until all that the caller has said is written down; `seconds` at most.

        They are gone: nothing more is to come.
        """
        self._speaks = False
        await self.conversation.wait_until_understood(seconds)

    def finish(self) -> None:
        """Write what the caller was about to say when the call ended, as far as it was heard."""
        now = self._clock.now()
        for item, (text, began) in self._unfinished.items():
            started = min(_instant(began), now)
            spoken = Turn(
                id=item or "unfinished",
                role=Role.CALLER,
                text=text,
                started_at=started,
                ended_at=now,
                interrupted=True,
            )
            self._append(TurnSpoken(at=now, turn=spoken))
        self._unfinished.clear()

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if not isinstance(item, llm.ChatMessage) or item.role not in {"user", "assistant"}:
            return
        if item.role == "user":
            self._unfinished.pop(item.id, None)
            # A transcript's message is created when its utterance began.
            self._understood_from = max(self._understood_from, item.created_at)
            if self._understood_from < (self._speech_began_at or 0) - _SAME_UTTERANCE_SECONDS:
                self._understood.clear()  # there is one after it that is not written down yet
        spoken = turn(item, speech_ended_at=self._speech_ended_at)
        if spoken is None:
            return
        if spoken.role is Role.CALLER and item.transcript_confidence is None:
            # Typed: nothing tells when they stopped, for it came all at once.
            self._unanswered_since = item.created_at
        now = self._clock.now()
        self._append(TurnSpoken(at=now, turn=spoken))
        if spoken.role is Role.AGENT and self._reply is not None:
            (began, waited), self._reply = self._reply, None
            reply = Latency(kind="reply", milliseconds=waited * 1000, turn_id=spoken.id)
            self._append(LatencyMeasured(at=_instant(began), latency=reply))

    def _on_words(self, event: UserInputTranscribedEvent) -> None:
        text = event.transcript.strip()
        if event.is_final:
            self._unfinished.pop(event.item_id, None)
            if not self._speaks:  # else it is what they had said before
                self._understood.set()
        elif text:
            began = self._speech_began_at or event.created_at
            _, began = self._unfinished.get(event.item_id, ("", began))
            self._unfinished[event.item_id] = (text, began)

    def _on_tool(self, event: ToolExecutionUpdatedEvent) -> None:
        # The result of each as soon as it is there: an interruption may keep the rest from coming.
        update, now = event.update, self._clock.now()
        if isinstance(update, ToolCallStarted):
            call = update.function_call
            use = ToolUse(
                id=call.call_id,
                name=call.name,
                arguments=json_value(call.arguments),
                started_at=_instant(call.created_at),
            )
            self._tools[use.id] = use
            self._append(ToolBegun(at=now, use=use))
        elif isinstance(update, ToolCallEnded) and update.call_id in self._tools:
            done = update.status == "done"
            result = {
                "result": (update.message or "") if done else None,
                "error": None if done else update.message or update.status,
                "ended_at": max(now, self._tools[update.call_id].started_at),
            }
            self._used(self._tools[update.call_id].model_copy(update=result))

    def _on_tools(self, event: FunctionToolsExecutedEvent) -> None:
        for call, output in event.zipped():
            use = _tool_use(call, output)
            known = self._tools.get(use.id)
            # Written already, unless the model heard something else of it or it had never begun.
            if known is None or (known.result, known.error) != (use.result, use.error):
                self._used(use)

    def _used(self, use: ToolUse) -> None:
        self._tools[use.id] = use
        self._append(ToolUsed(at=self._clock.now(), use=use))

    def _on_usage(self, event: SessionUsageUpdatedEvent) -> None:
        for usage in _usages(event):
            # It is reported after every item, changed or not.
            if self._counted.get(usage.model, Usage(model=usage.model)) != usage:
                self._counted[usage.model] = usage
                self._append(UsageCounted(at=self._clock.now(), usage=usage))

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        self._speaks = event.new_state == "speaking"
        if event.new_state == "speaking":
            self._speech_began_at = event.created_at
            self._understood.clear()
        if event.old_state == "speaking":
            self._speech_ended_at = self._unanswered_since = event.created_at

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state != "speaking":
            return
        if self._unanswered_since is not None:
            # A reply after a tool counts from the caller's words too: that is what they waited.
            waited = max(event.created_at - self._unanswered_since, 0)
            self._reply = (event.created_at, waited)
            self._unanswered_since = None
        if self._answered_at is not None and not self._greeted:
            self._greeted = True
            waited = max(event.created_at - self._answered_at.timestamp(), 0)
            greeting = Latency(kind="greeting", milliseconds=waited * 1000)
            self._append(LatencyMeasured(at=self._clock.now(), latency=greeting))

    def _on_error(self, event: ErrorEvent) -> None:
        error = event.error
        self._append(
            ModelFault(
                at=self._clock.now(),
                source=type(event.source).__name__,
                message=str(getattr(error, "error", error))[:500],
                recoverable=bool(getattr(error, "recoverable", False)),
            )
        )


def _instant(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


def turn(item: llm.ChatMessage, *, speech_ended_at: float | None) -> Turn | None:
    """Return the turn that a chat message is; None when nothing was said.

    Args:
        item: A message of the user or the assistant.
        speech_ended_at: When the caller last stopped speaking, in seconds since the epoch; a
            caller's message does not say it itself.
    """
    text = (item.text_content or "").strip()
    if not text:
        return None
    started = item.metrics.get("started_speaking_at") or item.created_at
    ended = item.metrics.get("stopped_speaking_at")
    role = Role.AGENT if item.role == "assistant" else Role.CALLER
    if ended is None and role is Role.CALLER:
        ended = speech_ended_at
    return Turn(
        id=item.id,
        role=role,
        text=text,
        started_at=_instant(started),
        ended_at=_instant(max(started, ended or started)),
        interrupted=item.interrupted,
    )


def _tool_use(call: llm.FunctionCall, output: llm.FunctionCallOutput) -> ToolUse:
    return ToolUse(
        id=call.call_id,
        name=call.name,
        arguments=json_value(call.arguments),
        result=None if output.is_error else output.output,
        error=output.output if output.is_error else None,
        started_at=_instant(call.created_at),
        ended_at=_instant(max(call.created_at, output.created_at)),
    )


def json_value(text: str) -> JsonValue:
    """Return what a model gave as arguments; the text itself when it is no JSON."""
    try:
        value: JsonValue = json.loads(text or "{}")
    except ValueError:
        return text
    return value


def _usages(event: SessionUsageUpdatedEvent) -> list[Usage]:
    usages = []
    for counted in event.usage.model_usage:
        if isinstance(counted, LLMModelUsage):
            shared = set(Usage.model_fields) & set(LLMModelUsage.model_fields)
            usages.append(Usage(**counted.model_dump(include=shared)))
        elif isinstance(counted, STTModelUsage):
            usages.append(Usage(model=counted.model, transcribed_seconds=counted.audio_duration))
    return usages
