"""What a session reports becomes turns, uses of tools, waits, usage and faults."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
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
from livekit.agents.metrics.usage import AgentSessionUsage
from livekit.agents.voice import ToolCallEnded, ToolCallStarted, ToolExecutionUpdatedEvent

from tests.samples import START, SetClock, at
from thirdring.calls import Latency, Role, Turn, Usage
from thirdring.journal import (
    Entry,
    LatencyMeasured,
    ModelFault,
    ToolBegun,
    ToolUsed,
    TurnSpoken,
    UsageCounted,
)
from thirdring.recorder import Recorder, turn


class Reported:
    """A session that says what a test lets it say, and what the recorder made of it."""

    def __init__(self) -> None:
        self.session: AgentSession[None] = AgentSession()
        self.entries: list[Entry] = []
        self.recorder = Recorder(self.entries.append, SetClock())
        self.recorder.attach(self.session)

    def caller_stops(self, seconds: float) -> None:
        """Let the caller's last word be over at this time."""
        event = UserStateChangedEvent(old_state="speaking", new_state="listening")
        event.created_at = at(seconds).timestamp()
        self.session.emit("user_state_changed", event)

    def agent_begins(self, seconds: float) -> None:
        """Let the agent's first sound leave at this time."""
        event = AgentStateChangedEvent(old_state="thinking", new_state="speaking")
        event.created_at = at(seconds).timestamp()
        self.session.emit("agent_state_changed", event)

    def says(self, text: str, role: llm.ChatRole = "assistant", **fields: Any) -> str:
        """Let a message be complete; return its id."""
        item = llm.ChatMessage(role=role, content=[text], **fields)
        self.session.emit("conversation_item_added", ConversationItemAddedEvent(item=item))
        return item.id

    def uses(self, arguments: str, output: str, *, is_error: bool = False) -> None:
        """Let a tool have been used."""
        call = llm.FunctionCall(
            call_id="c1", name="find_slots", arguments=arguments, created_at=at(1).timestamp()
        )
        result = llm.FunctionCallOutput(
            call_id="c1", name="find_slots", output=output, is_error=is_error
        )
        result.created_at = at(3).timestamp()
        event = FunctionToolsExecutedEvent(function_calls=[call], function_call_outputs=[result])
        self.session.emit("function_tools_executed", event)

    def counts(self, *usages: LLMModelUsage | STTModelUsage) -> None:
        """Let totals be told."""
        usage = AgentSessionUsage(model_usage=list(usages))
        self.session.emit("session_usage_updated", SessionUsageUpdatedEvent(usage=usage))

    def tool(self, update: ToolCallStarted | ToolCallEnded) -> None:
        """Let a tool begin or end."""
        self.session.emit("tool_execution_updated", ToolExecutionUpdatedEvent(update=update))

    def hears(self, text: str, item: str = "i1", *, final: bool = False) -> None:
        """Let the model have understood so much of what the caller says."""
        event = UserInputTranscribedEvent(transcript=text, is_final=final, item_id=item)
        event.created_at = at(8).timestamp()
        self.session.emit("user_input_transcribed", event)

    @property
    def waits(self) -> list[Latency]:
        return [entry.latency for entry in self.entries if isinstance(entry, LatencyMeasured)]


@pytest.fixture
async def reported() -> Reported:
    """Return a session that has said nothing yet."""
    return Reported()


def message(role: llm.ChatRole, text: str, **metrics: float) -> llm.ChatMessage:
    known: Any = {name: at(seconds).timestamp() for name, seconds in metrics.items()}
    created = at(5).timestamp()
    return llm.ChatMessage(role=role, content=[text], metrics=known, created_at=created)


def times(one: Turn | None) -> tuple[float, float]:
    assert one is not None
    return (one.started_at - START).total_seconds(), (one.ended_at - START).total_seconds()


def test_an_agents_turn_lasts_while_it_was_heard() -> None:
    """Its message says itself when the speech began and ended."""
    item = message("assistant", "Hello.", started_speaking_at=2, stopped_speaking_at=3.5)
    spoken = turn(item, speech_ended_at=at(1).timestamp())
    assert times(spoken) == (2, 3.5)
    assert spoken is not None
    assert (spoken.role, spoken.id, spoken.interrupted) == (Role.AGENT, item.id, False)


def test_a_callers_turn_ends_with_their_last_word() -> None:
    """Their message does not know when it was; the voice activity does."""
    item = message("user", "Hello?", started_speaking_at=2)
    assert times(turn(item, speech_ended_at=at(4).timestamp())) == (2, 4)


@pytest.mark.parametrize("ended", [None, 1.0])
def test_a_turn_never_ends_before_it_begins(ended: float | None) -> None:
    """Typed words, or an end that belongs to an earlier turn, take no time."""
    item = message("user", "Hello?", started_speaking_at=2)
    end = None if ended is None else at(ended).timestamp()
    assert times(turn(item, speech_ended_at=end)) == (2, 2)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_nothing_said_is_no_turn(text: str) -> None:
    """An agent that was interrupted before its first word has said nothing."""
    assert turn(message("assistant", text), speech_ended_at=None) is None


def test_turns_are_those_of_caller_and_agent(reported: Reported) -> None:
    """Instructions are no turns; an interrupted one keeps what was heard."""
    reported.says("You are a receptionist.", "system")
    reported.says("Hello, thank", interrupted=True)
    turns = [entry.turn for entry in reported.entries if isinstance(entry, TurnSpoken)]
    assert [(one.text, one.interrupted) for one in turns] == [("Hello, thank", True)]


def test_a_reply_counts_from_the_callers_last_word(reported: Reported) -> None:
    """Whoever goes on speaking is not waiting; the wait belongs to the turn that ended it."""
    reported.caller_stops(10)
    reported.caller_stops(12)
    reported.agent_begins(12.75)
    reply = reported.says("At nine.")
    assert reported.waits == [Latency(kind="reply", milliseconds=750, turn_id=reply)]


def test_a_tool_in_between_is_waiting_too(reported: Reported) -> None:
    """The caller waits for the tool as well: nothing starts the count anew."""
    reported.caller_stops(10)
    reported.says("What are your hours?", "user", transcript_confidence=1.0)
    reported.uses("{}", "Closed.")
    reported.agent_begins(13)
    reply = reported.says("We are closed.")
    assert reported.waits == [Latency(kind="reply", milliseconds=3000, turn_id=reply)]


def test_a_reply_to_what_was_typed_counts_from_its_coming(reported: Reported) -> None:
    """Nobody speaks, so nobody stops; the message is there all at once."""
    reported.caller_stops(2)
    reported.says("What are your hours?", "user", created_at=at(10).timestamp())
    reported.agent_begins(10.5)
    reply = reported.says("We are closed.")
    assert reported.waits == [Latency(kind="reply", milliseconds=500, turn_id=reply)]


def test_one_word_is_answered_once(reported: Reported) -> None:
    """What the agent adds by itself is no reply."""
    reported.caller_stops(10)
    reported.agent_begins(11)
    reported.says("Yes.")
    reported.agent_begins(15)
    reported.says("Are you still there?")
    assert [wait.milliseconds for wait in reported.waits] == [1000]


def test_the_greeting_counts_from_the_answer(reported: Reported) -> None:
    """It is measured once, and is no reply."""
    reported.recorder.answered(at(1))
    reported.agent_begins(1.25)
    reported.says("Hello.")
    reported.agent_begins(9)
    assert reported.waits == [Latency(kind="greeting", milliseconds=250)]


def test_a_failed_tool_is_an_error(reported: Reported) -> None:
    """What the model heard stands in one of two places, never in both."""
    reported.uses('{"day": "friday"}', "Closed on Friday.", is_error=True)
    reported.uses('{"day": "monday"}', "9 AM")
    used = [entry.use for entry in reported.entries if isinstance(entry, ToolUsed)]
    assert [(use.result, use.error) for use in used] == [
        (None, "Closed on Friday."),
        ("9 AM", None),
    ]
    assert used[0].arguments == {"day": "friday"}
    assert (used[0].started_at, used[0].ended_at) == (at(1), at(3))


@pytest.mark.parametrize(("arguments", "kept"), [("", {}), ("{day", "{day"), ("[1]", [1])])
def test_arguments_are_kept_as_the_model_gave_them(
    reported: Reported, arguments: str, kept: object
) -> None:
    """What is no JSON stays text."""
    reported.uses(arguments, "")
    (entry,) = reported.entries
    assert isinstance(entry, ToolUsed)
    assert entry.use.arguments == kept


BOOKING = llm.FunctionCall(
    call_id="c1", name="book", arguments='{"day": "friday"}', created_at=at(1).timestamp()
)


def test_a_tool_is_written_when_it_begins_and_when_it_ends(reported: Reported) -> None:
    """A job that dies while it runs has said so; its result does not wait for other tools."""
    reported.tool(ToolCallStarted(function_call=BOOKING))
    (begun,) = reported.entries
    assert isinstance(begun, ToolBegun)
    assert (begun.use.name, begun.use.arguments) == ("book", {"day": "friday"})
    assert (begun.use.started_at, begun.use.ended_at, begun.use.result) == (at(1), None, None)
    reported.tool(ToolCallEnded(id="c1", call_id="c1", message="At 2 PM.", status="done"))
    done = reported.entries[-1]
    assert isinstance(done, ToolUsed)
    assert (done.use.id, done.use.result, done.use.error) == ("c1", "At 2 PM.", None)
    assert done.use.ended_at is not None


def test_a_result_is_written_once(reported: Reported) -> None:
    """That the model has heard it is told later; only what is news is written again."""
    reported.tool(ToolCallStarted(function_call=BOOKING))
    reported.tool(ToolCallEnded(id="c1", call_id="c1", message="At 2 PM.", status="done"))
    reported.uses('{"day": "friday"}', "At 2 PM.")
    assert [entry.kind for entry in reported.entries] == ["tool_begun", "tool"]
    reported.uses('{"day": "friday"}', "An internal error occurred", is_error=True)
    last = reported.entries[-1]
    assert isinstance(last, ToolUsed)
    assert (last.use.result, last.use.error) == (None, "An internal error occurred")


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [("error", "No such day.", "No such day."), ("cancelled", None, "cancelled")],
)
def test_a_tool_that_did_not_end_well_says_why(
    reported: Reported, status: Any, message: str | None, error: str
) -> None:
    """Refused, broken or cut off: never a result."""
    reported.tool(ToolCallStarted(function_call=BOOKING))
    reported.tool(ToolCallEnded(id="c1", call_id="c1", message=message, status=status))
    last = reported.entries[-1]
    assert isinstance(last, ToolUsed)
    assert (last.use.result, last.use.error) == (None, error)


def test_what_a_caller_was_about_to_say_is_an_interrupted_turn(reported: Reported) -> None:
    """As far as it was understood when the call ended; what was complete is there once."""
    reported.hears("Hello")
    reported.hears("Hello there", final=True)
    reported.says("Hello there", "user", id="i1", transcript_confidence=1.0)
    reported.hears("I would", "i2")
    reported.hears("I would like to", "i2")
    reported.recorder.finish()
    reported.recorder.finish()
    turns = [entry.turn for entry in reported.entries if isinstance(entry, TurnSpoken)]
    assert [(one.id, one.text, one.interrupted) for one in turns] == [
        ("i1", "Hello there", False),
        ("i2", "I would like to", True),
    ]
    assert turns[-1].role is Role.CALLER
    assert turns[-1].started_at <= turns[-1].ended_at


async def test_who_has_spoken_is_understood_when_it_is_written_down(reported: Reported) -> None:
    """A call that ends meanwhile waits for that, but not for ever."""
    assert reported.recorder.has_understood
    event = UserStateChangedEvent(old_state="listening", new_state="speaking")
    reported.session.emit("user_state_changed", event)
    assert not reported.recorder.has_understood
    await reported.recorder.understood(0.01)
    reported.hears("Goodbye.", final=True)
    await asyncio.wait_for(reported.recorder.understood(60), 20)
    assert reported.recorder.has_understood


@pytest.mark.parametrize("order", [("Yes.", "No, wait."), ("No, wait.", "Yes.")])
def test_late_words_do_not_stand_for_those_after_them(
    reported: Reported, order: tuple[str, str]
) -> None:
    """Two sentences may have been spoken before either is written down, whichever comes first."""
    began = {"Yes.": at(1).timestamp(), "No, wait.": at(4).timestamp()}
    for seconds in began.values():
        event = UserStateChangedEvent(old_state="listening", new_state="speaking")
        event.created_at = seconds
        reported.session.emit("user_state_changed", event)
        reported.caller_stops(5)
    known = []
    for text in order:
        reported.hears(text, text, final=True)
        reported.says(text, "user", created_at=began[text])
        known.append(reported.recorder.has_understood)
    assert known == [order[0] == "No, wait.", True]


async def test_who_waits_for_the_first_of_two_sentences_waits_for_the_second(
    reported: Reported,
) -> None:
    """The first one's words end nobody's wait, although they are all that was on its way once."""
    for seconds in (1, 4):
        event = UserStateChangedEvent(old_state="listening", new_state="speaking")
        event.created_at = at(seconds).timestamp()
        reported.session.emit("user_state_changed", event)
        reported.caller_stops(seconds + 1)
    waiting = asyncio.create_task(reported.recorder.conversation.wait_until_understood(60))
    known = []
    for text, seconds in (("Yes.", 1), ("No, wait.", 4)):
        await asyncio.sleep(0)
        reported.hears(text, text, final=True)
        reported.says(text, "user", created_at=at(seconds).timestamp())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        known.append(waiting.done())
    assert await asyncio.wait_for(waiting, 20)
    assert not known[0]


def test_what_was_said_before_does_not_stand_for_what_is_being_said(reported: Reported) -> None:
    """The words of one sentence come while the next is spoken: that one is not understood yet."""
    begins = UserStateChangedEvent(old_state="listening", new_state="speaking")
    reported.session.emit("user_state_changed", begins)
    reported.caller_stops(3)
    reported.session.emit("user_state_changed", begins)
    reported.hears("Never mind.", final=True)
    assert not reported.recorder.has_understood
    reported.caller_stops(4)
    reported.hears("I will call again.", "i2", final=True)
    assert reported.recorder.has_understood


def test_usage_is_written_when_it_has_changed(reported: Reported) -> None:
    """It is reported after every item; each model's new totals are written, once."""
    model = LLMModelUsage(provider="openai", model="m", input_tokens=5, output_audio_tokens=2)
    scribe = STTModelUsage(provider="openai", model="s", audio_duration=1.5)
    reported.counts(model)
    reported.counts(model, scribe)
    reported.counts(model.model_copy(update={"input_tokens": 9}), scribe)
    counted = [entry.usage for entry in reported.entries if isinstance(entry, UsageCounted)]
    assert counted == [
        Usage(model="m", input_tokens=5, output_audio_tokens=2),
        Usage(model="s", transcribed_seconds=1.5),
        Usage(model="m", input_tokens=9, output_audio_tokens=2),
    ]


def test_nothing_counted_is_not_written(reported: Reported) -> None:
    """A model that has not been used yet costs nothing."""
    reported.counts(LLMModelUsage(provider="openai", model="m"))
    assert reported.entries == []


@pytest.mark.parametrize("recoverable", [True, False])
def test_a_fault_is_one_line(reported: Reported, recoverable: bool) -> None:
    """It says what failed, whether it goes on, and not more than fits."""
    error = llm.RealtimeModelError(
        timestamp=0, label="x", error=RuntimeError("y" * 900), recoverable=recoverable
    )
    reported.session.emit("error", ErrorEvent(error=error, source=reported.session.llm))
    (entry,) = reported.entries
    assert isinstance(entry, ModelFault)
    assert (entry.message, entry.recoverable) == ("y" * 500, recoverable)
