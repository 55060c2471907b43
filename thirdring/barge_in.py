"""Barge-in while a reply is still being prepared: the caller gets the floor, and the next answer.

livekit-agents 1.8.9 interrupts what is spoken, what is queued and what waits for a tool (voice/
agent_activity.py:1927), but not a speech whose tool has ended and whose result the server has not
taken yet (:4909, up to 5 s). Such a speech goes on to ask for its reply, and holds the floor for as
long as the server lets it wait (10 s, llm/_realtime/openai.py:1778), while the answer to what the
caller has said since stands behind it, complete and unheard.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from livekit.agents import Agent, AgentSession, SpeechCreatedEvent, UserStateChangedEvent, llm
from livekit.agents.voice import SpeechHandle

__all__ = ["KnowsResults", "is_answering", "yield_to_caller"]


@runtime_checkable
class KnowsResults(Protocol):
    """A realtime session that can be told a result out of turn."""

    def tell(self, result: llm.FunctionCallOutput) -> None:
        """Let the model know the result of a tool, unless it was sent already."""
        ...


def is_answering(session: AgentSession[Any]) -> bool:
    """Return whether the agent speaks, or is about to, and is to go on."""
    speech = session.current_speech
    return speech is not None and not speech.interrupted


def yield_to_caller(session: AgentSession[Any]) -> None:
    """Give up what is still to be said when the caller speaks, and once the model answers them."""
    speeches: set[SpeechHandle] = set()

    def interrupt() -> None:
        for speech in tuple(speeches):
            if speech.allow_interruptions:
                speech.interrupt()

    def on_speech(event: SpeechCreatedEvent) -> None:
        speech, agent = event.speech_handle, session.current_agent
        if not event.user_initiated:
            # Of its own accord it answers what the caller has just said, and nothing else.
            interrupt()
        speeches.add(speech)
        speech.add_done_callback(speeches.discard)
        speech.add_done_callback(lambda done: _tell_results(agent, done))

    def on_state(event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            interrupt()

    session.on("speech_created", on_speech)
    session.on("user_state_changed", on_state)


def _tell_results(agent: Agent, speech: SpeechHandle) -> None:
    """Let the model know what the tools of an interrupted speech have returned.

    The SDK waits with it until nobody speaks (voice/agent_activity.py:4867), and for 5 s at most
    (voice/speech_handle.py:16); then it would never be sent.
    """
    with suppress(RuntimeError):  # the agent has handed the call on, or the call is over
        model = agent.realtime_llm_session
        if not speech.interrupted or not isinstance(model, KnowsResults):
            return
        for item in speech.chat_items:
            if isinstance(item, llm.FunctionCallOutput):
                model.tell(item)
