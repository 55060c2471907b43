"""The wire: client events as checked values, server events as JSON objects, refusals as errors.

Names and fields are those of the OpenAI Realtime API reference (GA, client and server events).
"""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from thirdring.errors import PhoneError

__all__ = [
    "Append",
    "Cancel",
    "Clear",
    "ClearOutput",
    "ClientEvent",
    "Commit",
    "CreateItem",
    "CreateResponse",
    "DeleteItem",
    "JsonObject",
    "Refusal",
    "ResponseParameters",
    "RetrieveItem",
    "SlowClient",
    "TruncateItem",
    "UpdateSession",
    "error_event",
    "event",
    "first_problem",
    "internal_error",
    "json_object",
    "new_id",
    "parse",
]

JsonObject: TypeAlias = dict[str, Any]

MAX_DEPTH = 64
"""Levels of an event. What Python still reads at 900, pydantic can no longer write."""


class SlowClient(Exception):
    """The client does not read what it asked for."""


class Refusal(PhoneError):
    """A client event cannot be done; the client gets an `error` event.

    Attributes:
        code: Machine-readable, as the API names it.
        param: Where in the event.
    """

    def __init__(self, code: str, message: str, *, param: str | None = None) -> None:
        self.code = code
        self.param = param
        super().__init__(message)


Metadata: TypeAlias = Annotated[
    dict[
        Annotated[str, Field(max_length=64)],
        Annotated[str, Field(max_length=512)],
    ],
    Field(max_length=16),
]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: Annotated[str, Field(max_length=512)] | None = None


class UpdateSession(_Event):
    """Changes the keys that are present, leaves the others."""

    type: Literal["session.update"]
    session: JsonObject


class Append(_Event):
    """More of the caller's audio, base64 of the session's input format."""

    type: Literal["input_audio_buffer.append"]
    audio: str


class Commit(_Event):
    """The client ends the caller's turn."""

    type: Literal["input_audio_buffer.commit"]


class Clear(_Event):
    """Forget the audio of the present turn."""

    type: Literal["input_audio_buffer.clear"]


class CreateItem(_Event):
    """Puts an item behind another, `root` is the head; the end when nothing is named."""

    type: Literal["conversation.item.create"]
    item: JsonObject
    previous_item_id: str | None = None


class DeleteItem(_Event):
    """Takes an item out."""

    type: Literal["conversation.item.delete"]
    item_id: str


class RetrieveItem(_Event):
    """Asks for an item."""

    type: Literal["conversation.item.retrieve"]
    item_id: str


class TruncateItem(_Event):
    """Only this much of an answer was played."""

    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: Annotated[int, Field(ge=0, le=0)]
    audio_end_ms: Annotated[int, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ResponseOutput(_Section):
    """What `response.create` may say of its audio; checked with the session's settings."""

    format: JsonObject | None = None
    voice: str | JsonObject | None = None


class ResponseAudio(_Section):
    """Only the direction that a reply has."""

    output: ResponseOutput | None = None


class ResponseParameters(_Section):
    """What one reply does differently from the session.

    Attributes:
        input: Items, or references to items, to read instead of the conversation.
    """

    instructions: str | None = None
    metadata: Metadata | None = None
    tools: tuple[JsonObject, ...] | None = None
    tool_choice: str | JsonObject | None = None
    output_modalities: tuple[Literal["audio", "text"], ...] | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    conversation: Literal["auto", "none"] | None = None
    input: tuple[JsonObject, ...] | None = None
    audio: ResponseAudio | None = None
    parallel_tool_calls: bool | None = None
    prompt: JsonObject | None = None
    reasoning: JsonObject | None = None


class CreateResponse(_Event):
    """Asks for a reply."""

    type: Literal["response.create"]
    response: ResponseParameters | None = None


class Cancel(_Event):
    """Ends the reply that is running."""

    type: Literal["response.cancel"]
    response_id: str | None = None


class ClearOutput(_Event):
    """Stops what WebRTC or SIP plays; a WebSocket has no such buffer."""

    type: Literal["output_audio_buffer.clear"]


ClientEvent: TypeAlias = (
    UpdateSession
    | Append
    | Commit
    | Clear
    | CreateItem
    | DeleteItem
    | RetrieveItem
    | TruncateItem
    | CreateResponse
    | Cancel
    | ClearOutput
)

_CLIENT_EVENT: TypeAdapter[ClientEvent] = TypeAdapter(
    Annotated[ClientEvent, Field(discriminator="type")]
)


def parse(frame: str | bytes) -> ClientEvent:
    """Return the event in a text frame.

    Raises:
        Refusal: It is binary, not JSON, not an event we know, or has wrong or unknown fields.
    """
    if isinstance(frame, bytes):
        raise Refusal("invalid_json", "An event is a text frame; this one was binary.")
    document = json_object(frame, "event")
    try:
        return _CLIENT_EVENT.validate_python(document)
    except ValidationError as error:
        raise _refusal(document, error) from None


def json_object(text: str, name: str) -> JsonObject:
    """Return the object that a text is, fit to be told again.

    Args:
        name: What the text is, for the refusal.

    Raises:
        Refusal: It is not JSON, no object, too deep, or has half a character.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal("invalid_json", f"The {name} is not valid JSON: {error}") from None
    # One character is found many times sooner than two, and base64 has no backslash.
    if "\\" in text and "\\u" in text and not _is_text(document):
        why = f"The {name} has half a surrogate pair, which is no character."
        raise Refusal("invalid_json", why)
    if not isinstance(document, dict):
        raise Refusal("invalid_json", f"The {name} must be a JSON object.")
    if _is_deep(document):
        raise Refusal("invalid_json", f"The {name} has more than {MAX_DEPTH} levels.")
    return document


def _is_text(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _is_deep(document: JsonObject) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _refusal(document: JsonObject, error: ValidationError) -> Refusal:
    problem = error.errors(include_url=False)[0]
    if problem["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        got = str(document.get("type"))[:80]
        return Refusal("invalid_value", f"Unknown event type: {got!r}.", param="type")
    return first_problem(error, document)


def first_problem(error: ValidationError, document: JsonObject, *, prefix: str = "") -> Refusal:
    """Turn the first thing that pydantic found into a refusal that names the field.

    Args:
        document: What was checked.
        prefix: Where it stands in the event.
    """
    problem = error.errors(include_url=False)[0]
    where = _place(document, problem["loc"], missing=problem["type"] == "missing")
    path = ".".join([*([prefix] if prefix else []), *where])
    if problem["type"] == "missing":
        return Refusal("missing_required_parameter", f"Missing: {path!r}.", param=path)
    if problem["type"] == "extra_forbidden":
        return Refusal("unknown_parameter", f"Unknown parameter: {path!r}.", param=path)
    return Refusal("invalid_value", f"Invalid value at {path!r}: {problem['msg']}.", param=path)


def _place(document: Any, location: tuple[int | str, ...], *, missing: bool) -> list[str]:
    """Return pydantic's location without the tags of unions, which are no fields."""
    path: list[str] = []
    for step in location:
        if isinstance(document, list | tuple):
            known: Any = range(len(document))
        else:
            known = document if isinstance(document, dict) else ()
        if step in known:
            document = document[step]
            path.append(str(step))
    return [*path, str(location[-1])] if missing else path


def new_id(kind: str) -> str:
    """Return a fresh id such as `item_8f...`; 32 characters at most, as the client asks."""
    return f"{kind}_{secrets.token_hex(10)}"


def event(kind: str, **fields: object) -> JsonObject:
    """Return a server event with an id of its own."""
    return {"event_id": new_id("event"), "type": kind, **fields}


def error_event(refusal: Refusal, event_id: str | None) -> JsonObject:
    """Return the `error` event for a client event that was refused."""
    return event(
        "error",
        error={
            "type": "invalid_request_error",
            "code": refusal.code,
            "message": str(refusal),
            "param": refusal.param,
            "event_id": event_id,
        },
    )


def internal_error(message: str, event_id: str | None) -> JsonObject:
    """Return the `error` event for what is our own fault."""
    error = {"type": "server_error", "code": "internal_error", "message": message}
    return event("error", error={**error, "param": None, "event_id": event_id})
