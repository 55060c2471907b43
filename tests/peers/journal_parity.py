"""What two calls of one script must have in common: their journals but for times and ids.

Ids become numbers in the order in which they come, so that what refers to the same turn still does.
Entries are compared in the order of their kind: a latency and a turn that happen together may be
written either way round. What counts audio is time: of usage the model's name stays. And what the
recogniser makes of the caller's words differs between two calls by the same SIP side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from thirdring.journal import Entry

__all__ = ["comparable"]

_TIMES = frozenset(
    {
        *("at", "started_at", "ended_at", "milliseconds"),
        *("offset", "started_offset", "ended_offset", "monotonic", "boot", "writer"),
    }
)
_IDS = frozenset({"id", "call_id", "sip_call_id", "trunk_id", "rule_id", "turn_id", "job"})
_KINDS = (
    *("opened", "answered", "turn", "tool_begun", "tool"),
    *("digit", "latency", "usage", "fault", "ended"),
)
_ROUTE = ("business", "line", "workflow", "model", "room", "job")


def comparable(entries: Iterable[Entry]) -> list[Any]:
    """Return what the call of another caller, at another time, by another SIP side has too."""
    dumped = _taken([entry.model_dump(mode="json") for entry in entries])
    dumped.sort(key=lambda entry: _KINDS.index(entry["kind"]))
    caller = dumped[0].get("leg", {}).get("caller")
    numbers: dict[str, int] = {}

    def timeless(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            kept = value.items() if name == "arguments" else _lasting(value)
            return {key: timeless(one, key) for key, one in kept}
        if isinstance(value, list):
            return [timeless(one) for one in value]
        if name in _IDS and value is not None:
            return numbers.setdefault(value, len(numbers))
        if isinstance(value, str):
            return _anonymous(value, name, caller)
        return value

    found = [timeless(entry) for entry in dumped]
    for entry in found:
        if entry["kind"] == "usage":
            entry["usage"] = entry["usage"]["model"]
        if entry["kind"] == "turn" and entry["turn"]["role"] == "caller":
            del entry["turn"]["text"]
    usage = {entry["usage"] for entry in found if entry["kind"] == "usage"}
    latencies = [entry for entry in found if entry["kind"] == "latency"]
    rest = [entry for entry in found if entry["kind"] not in {"usage", "latency"}]
    return [*rest, sorted(usage), sorted(map(repr, latencies))]


def _taken(dumped: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return entries as they are where the job itself opened the journal."""
    for entry in dumped:
        if entry["kind"] == "handed_over":
            dumped[0] |= {name: entry[name] for name in _ROUTE}
    return [entry for entry in dumped if entry["kind"] != "handed_over"]


def _lasting(value: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(key, one) for key, one in value.items() if key not in _TIMES]


def _anonymous(text: str, name: str, caller: str | None) -> str:
    if caller:
        text = text.replace(caller, "caller")
    # A room's name ends with a mark of its own.
    return re.sub(r"_[^_]+$", "_", text) if name == "room" else text
