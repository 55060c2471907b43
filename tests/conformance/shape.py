"""Whether an event is what the published types say, field by field."""

from __future__ import annotations

import json
from typing import Any, get_args

from openai.types.realtime import (
    RealtimeClientEvent,
    RealtimeServerEvent,
    RealtimeSessionCreateResponse,
)
from openai.types.realtime import (
    realtime_transcription_session_create_response as transcription,
)
from pydantic import BaseModel, ValidationError

__all__ = [
    "Event",
    "client_models",
    "client_problems",
    "members",
    "server_models",
    "shape_problems",
]

Event = dict[str, Any]

_SESSION_ONLY = (
    RealtimeSessionCreateResponse.model_fields.keys()
    | transcription.RealtimeTranscriptionSessionCreateResponse.model_fields.keys()
)
"""The types of the session events are those of requests; the service sends its own fields too."""


def members(union: Any) -> tuple[type[BaseModel], ...]:
    """Return the models of an annotated union."""
    models: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
    return models


def _by_type(union: Any) -> dict[str, type[BaseModel]]:
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in members(union)}


def client_models() -> dict[str, type[BaseModel]]:
    """Return the model of every client event type."""
    return _by_type(RealtimeClientEvent)


def server_models() -> dict[str, type[BaseModel]]:
    """Return the model of every server event type."""
    return _by_type(RealtimeServerEvent)


_CLIENT = client_models()
_SERVER = server_models()


def client_problems(event: Event) -> list[str]:
    """Return what is wrong with a client event."""
    model = _CLIENT.get(event["type"])
    if model is None:
        return [f"unknown event type {event['type']!r}"]
    return _problems(event, model, additions=False)


def shape_problems(event: Event, *, additions: bool = False) -> list[str]:
    """Return what is wrong with a server event.

    Args:
        additions: Whether fields and types that are not published yet are fine.
    """
    kind = event.get("type")
    model = _SERVER.get(kind) if isinstance(kind, str) else None
    if model is None:
        return [] if additions and isinstance(kind, str) else [f"unknown event type {kind!r}"]
    return _problems(event, model, additions=additions)


def _problems(event: Event, model: type[BaseModel], *, additions: bool) -> list[str]:
    kind = event["type"]
    try:
        parsed = model.model_validate_json(json.dumps(event), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return [f"{kind}: {'.'.join(map(str, first['loc']))}: {first['msg']}"]
    if additions:
        return []
    return [f"{kind}: unknown field {path}" for path in _unknown(parsed, "")]


def _unknown(value: object, path: str) -> list[str]:
    if isinstance(value, BaseModel):
        extra = set(value.model_extra or ())
        if path == "session":
            extra -= _SESSION_ONLY
        found = [f"{path}.{name}".lstrip(".") for name in sorted(extra)]
        for name in type(value).model_fields:
            found += _unknown(getattr(value, name), f"{path}.{name}".lstrip("."))
        return found
    if isinstance(value, list):
        return [
            one for index, part in enumerate(value) for one in _unknown(part, f"{path}.{index}")
        ]
    return []
