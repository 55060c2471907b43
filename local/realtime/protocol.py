"""The wire: client events as checked values, server events as JSON objects, refusals as errors.

Names and fields are those of the OpenAI Realtime API reference (GA, client and server events).
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from thirdring.errors import PhoneError

__all__ = [
    "Append",
    "Cancel",
    "Clear",
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
    "decode_audio",
    "error_event",
    "event",
    "first_problem",
    "internal_error",
    "new_id",
    "parse",
]

JsonObject: TypeAlias = dict[str, Any]

MAX_APPEND_BYTES = 15 * 1024 * 1024
"""Of base64 text in one append, as the API reference limits it."""

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


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: Annotated[str, Field(max_length=512)] | None = None


class UpdateSession(_Event):
    """Changes the keys that are present, leaves the others."""

    type: Literal["session.update"]
    session: JsonObject


class Append(_Event):
    """More of the caller's audio, base64 of 16-bit PCM at 24 kHz."""

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


class ResponseParameters(BaseModel):
    """What one reply does differently from the session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instructions: str | None = None
    metadata: dict[str, str] | None = None
    tools: tuple[JsonObject, ...] | None = None
    tool_choice: str | JsonObject | None = None
    output_modalities: tuple[Literal["audio", "text"], ...] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | Literal["inf"] | None = None
    conversation: Literal["auto", "none"] | None = None


class CreateResponse(_Event):
    """Asks for a reply."""

    type: Literal["response.create"]
    response: ResponseParameters | None = None


class Cancel(_Event):
    """Ends the reply that is running."""

    type: Literal["response.cancel"]
    response_id: str | None = None


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
    try:
        document = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise Refusal("invalid_json", f"The event is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise Refusal("invalid_json", "An event is a JSON object with a `type`.")
    if _is_deep(document):
        raise Refusal("invalid_json", f"The event has more than {MAX_DEPTH} levels.")
    try:
        return _CLIENT_EVENT.validate_python(document)
    except ValidationError as error:
        raise _refusal(document, error) from None


def _is_deep(document: JsonObject) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
    return bool(level)


def _refusal(document: JsonObject, error: ValidationError) -> Refusal:
    problem = error.errors(include_url=False)[0]
    if problem["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        got = str(document.get("type"))[:80]
        return Refusal("invalid_value", f"Unknown event type: {got!r}.", param="type")
    return first_problem(error, skip=1)


def first_problem(error: ValidationError, *, prefix: str = "", skip: int = 0) -> Refusal:
    """Turn the first thing that pydantic found into a refusal that names the field.

    Args:
        prefix: Where the checked document stands in the event.
        skip: Leading parts of pydantic's location that are no field (the tag of a union).
    """
    problem = error.errors(include_url=False)[0]
    path = ".".join([*([prefix] if prefix else []), *map(str, problem["loc"][skip:])])
    if problem["type"] == "missing":
        return Refusal("missing_required_parameter", f"Missing: {path!r}.", param=path)
    if problem["type"] == "extra_forbidden":
        return Refusal("unknown_parameter", f"Unknown parameter: {path!r}.", param=path)
    return Refusal("invalid_value", f"Invalid value at {path!r}: {problem['msg']}.", param=path)


def decode_audio(text: str) -> bytes:
    """Return the samples of an append.

    Raises:
        Refusal: It is no base64, is too long, or ends within a sample.
    """
    if len(text) > MAX_APPEND_BYTES:
        raise Refusal("invalid_value", "One append takes at most 15 MiB.", param="audio")
    try:
        audio = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(
            "invalid_value", f"Invalid 'audio': not valid base64 ({error}).", param="audio"
        ) from None
    if len(audio) % 2:
        raise Refusal(
            "invalid_value", "Invalid 'audio': 16-bit samples need an even length.", param="audio"
        )
    return audio


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
