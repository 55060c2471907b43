"""Guardrails: what is watched, by code, in what the other party says and in what an agent says.

The model's text comes ahead of its voice: a reply with words that must not be said is stopped, as a
rule before much of them is heard, and another one is asked for. What somebody says to an agent
cannot be unsaid: it is noted, and the agent is told how to take it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from livekit.agents import Agent, ConversationItemAddedEvent, ModelSettings, llm

__all__ = ["CORRECTIONS", "GuardedAgent", "Guardrail", "Said"]

logger = logging.getLogger(__name__)

CORRECTIONS: Final = 3
"""Of one agent in one call: a model that cannot do otherwise is not asked for ever."""

_SENTENCES: Final = re.compile(r".*[.!?][\"\u201d]?(?=\s)", re.DOTALL)


@dataclass(frozen=True)
class Said:
    """Words of an agent, and what can be known when they are said.

    Attributes:
        text: What was said so far, in whole sentences.
        instructions: Of the agent.
        told: What the other party has said and what tools have returned.
    """

    text: str
    instructions: str
    told: str


@dataclass(frozen=True)
class Guardrail:
    """One thing that is watched.

    Attributes:
        name: For the log.
        heard: Returns what an agent is told about words of the other party; None for nothing.
        speaking: Returns what an agent has to be told about its words; None when it may say them.
    """

    name: str
    heard: Callable[[str], str | None] = lambda _text: None
    speaking: Callable[[Said], str | None] = lambda _said: None


class GuardedAgent(Agent):
    """An agent whose words, and what is said to it, are watched."""

    def __init__(self, *, guardrails: tuple[Guardrail, ...] = (), **options: Any) -> None:
        super().__init__(**options)
        self._guardrails = guardrails
        self._noted: set[str] = set()
        self._corrections = CORRECTIONS
        self._telling: set[asyncio.Task[None]] = set()

    async def on_enter(self) -> None:
        """Begin to listen."""
        if self._guardrails:
            self.session.on("conversation_item_added", self._on_item)

    async def on_exit(self) -> None:
        """Stop listening."""
        if self._guardrails:
            self.session.off("conversation_item_added", self._on_item)

    async def transcription_node(
        self, text: AsyncIterable[Any], model_settings: ModelSettings
    ) -> AsyncIterator[Any]:
        """Pass the words of a reply on for as long as they may be said."""
        del model_settings
        words, judged = "", 0
        async for piece in text:
            words += str(piece)
            # Half a sentence says other things than a whole one: "at seven", "thirty".
            whole = _SENTENCES.match(words)
            if whole and whole.end() > judged:
                judged = whole.end()
                if self._stops(whole[0]):
                    return
            yield piece
        if words[judged:].strip():
            self._stops(words)

    def _stops(self, words: str) -> bool:
        """Return whether a reply with these words was stopped."""
        if not self._guardrails:
            return False
        said = Said(words, str(self.instructions), self._told())
        for rule in self._guardrails:
            if (note := rule.speaking(said)) is not None:
                logger.warning("guardrail: %s stopped a reply", rule.name)
                self._correct(note)
                return True
        return False

    def _correct(self, note: str) -> None:
        with suppress(RuntimeError):  # the call is just ending
            self.session.interrupt(force=True)
            if self._corrections == 0:
                return
            self._corrections -= 1
            self.session.generate_reply(
                instructions=f"You were stopped while you spoke. {note} Apologise in three words "
                "and go on with what you may say."
            )

    def _told(self) -> str:
        items = self.session.history.items
        messages = [
            item.text_content or ""
            for item in items
            if isinstance(item, llm.ChatMessage) and item.role == "user"
        ]
        results = [item.output for item in items if isinstance(item, llm.FunctionCallOutput)]
        return "\n".join([*messages, *results])

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if not isinstance(item, llm.ChatMessage) or item.role != "user":
            return
        for rule in self._guardrails:
            note = rule.heard(item.text_content or "")
            if note is None:
                continue
            logger.warning("guardrail: %s was heard", rule.name)
            if rule.name not in self._noted:
                self._noted.add(rule.name)
                task = asyncio.create_task(self._tell(note))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

    async def _tell(self, note: str) -> None:
        with suppress(RuntimeError, llm.RealtimeError):  # the call is just ending
            await self.update_instructions(f"{self.instructions}\n# Watch out\n- {note}\n")
