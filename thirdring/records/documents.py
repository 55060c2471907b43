"""What programs read: the JSON form of calls and deliveries."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue

from thirdring.store.history import Call, Delivery

__all__ = ["call_document", "delivery_document", "text_of"]


def call_document(call: Call) -> dict[str, JsonValue]:
    """Return a call as `records list --json` prints it."""
    return {
        "call_id": call.call_id,
        "record_id": call.record_id,
        "business": call.business,
        "caller_number": call.caller,
        "opened_at": text_of(call.opened_at),
        "ended_at": text_of(call.ended_at),
        "ending": call.reason,
        "deliveries": [delivery_document(delivery) for delivery in call.deliveries],
    }


def delivery_document(delivery: Delivery) -> dict[str, JsonValue]:
    """Return how far a record has come on its way to one sink."""
    return {
        "sink": delivery.sink,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "due_at": text_of(delivery.due_at),
        "settled_at": text_of(delivery.settled_at),
        "last_status": delivery.status,
        "last_error": delivery.error,
    }


def text_of(moment: datetime | None) -> str | None:
    """Return a time in ISO 8601, in UTC."""
    return None if moment is None else moment.isoformat()
