"""What one `response.create` asks for, on top of the session's settings."""

from __future__ import annotations

from dataclasses import dataclass

from local.realtime.configuration import Configuration, updated
from local.realtime.conversation import Conversation, Item, item_from_client
from local.realtime.protocol import JsonObject, Refusal, ResponseParameters

__all__ = ["Request", "requested"]

_SETTINGS = frozenset(
    {"audio", "tools", "tool_choice", "output_modalities", "max_output_tokens"}
    | {"parallel_tool_calls", "prompt", "reasoning"}
)


@dataclass(frozen=True)
class Request:
    """What a reply is asked to be.

    Attributes:
        instructions: The client's own for this reply, without those of the session.
        items: What is read instead of the conversation; None for the conversation.
        kept: Whether its items become part of the conversation.
    """

    configuration: Configuration
    instructions: str | None = None
    metadata: dict[str, str] | None = None
    requested: bool = False
    items: tuple[Item, ...] | None = None
    kept: bool = True


def requested(
    asked: ResponseParameters, configuration: Configuration, conversation: Conversation
) -> Request:
    """Return the reply that a client asks for.

    Raises:
        Refusal: A setting cannot be, or an item of its input is wrong or not there.
    """
    given = asked.model_dump(mode="json", include=set(_SETTINGS), exclude_none=True)
    settings = updated(configuration, given, at="response")
    if isinstance(settings.tool_choice, dict):
        name = settings.tool_choice["name"]
        if name not in {tool.name for tool in settings.tools}:
            why = f"Tool choice {name!r} is none of the tools."
            raise Refusal("invalid_value", why, param="response.tool_choice")
    items = None
    if asked.input is not None:
        items = tuple(_item(one, place, conversation) for place, one in enumerate(asked.input))
    return Request(
        settings,
        instructions=_own_part(asked.instructions, configuration.instructions),
        metadata=asked.metadata,
        requested=True,
        items=items,
        kept=asked.conversation != "none",
    )


def _item(document: JsonObject, place: int, conversation: Conversation) -> Item:
    at = f"response.input.{place}"
    if document.get("type") != "item_reference":
        return item_from_client(document, at=at)
    name = document.get("id")
    if not isinstance(name, str):
        raise Refusal("missing_required_parameter", f"Missing: '{at}.id'.", param=f"{at}.id")
    if unknown := sorted(set(document) - {"type", "id"}):
        path = f"{at}.{unknown[0]}"
        raise Refusal("unknown_parameter", f"Unknown parameter: {path!r}.", param=path)
    return conversation.get(name, param=f"{at}.id")


def _own_part(instructions: str | None, of_session: str) -> str | None:
    """Return what the client wants of this reply.

    LiveKit's client writes the session's instructions in front of it, because with OpenAI those of
    a response replace them.
    """
    if not instructions:
        return None
    if of_session and instructions.startswith(of_session):
        return instructions[len(of_session) :].strip() or None
    return instructions
