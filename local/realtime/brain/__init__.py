"""What decides: a script, a chat model, or the reflex."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from local.realtime.configuration import Tool
from local.realtime.conversation import Item
from thirdring.errors import PhoneError

__all__ = ["Act", "Brain", "BrainError", "Call", "Prompt", "Say"]


class BrainError(PhoneError):
    """No reply could be made; the response fails with this text.

    Attributes:
        code: Machine-readable.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True)
class Say:
    """Speak this."""

    text: str


@dataclass(frozen=True)
class Call:
    """Call a function that the client declared; `arguments` is a JSON object as text."""

    name: str
    arguments: str


Act: TypeAlias = Say | Call


@dataclass(frozen=True)
class Prompt:
    """All that a reply can depend on.

    Attributes:
        instructions: Of the session.
        request: The client's own instructions for this one reply; None for none.
        items: The conversation so far.
        requested: Whether the client asked for the reply, or the caller's turn ended.
        tools: What may be called.
        tool_choice: As in the API.
    """

    instructions: str
    request: str | None
    items: tuple[Item, ...]
    requested: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: str | dict[str, Any] = "auto"


class Brain(Protocol):
    """Decides what to say and to call. Keeps no state: the conversation is the state."""

    def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        """Yield what to do next, in order.

        Raises:
            BrainError: It cannot decide.
        """
        ...

    def foresee(self, prompt: Prompt) -> str | None:
        """Return what would be said to this, or how that begins.

        None when it is not known at once and without effects.
        """
        ...
