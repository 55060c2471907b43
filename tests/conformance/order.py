"""Whether a whole transcript is one of the protocol: shapes, order, ids and answers.

Pure: events go in, a `Violation` comes out. It holds for the local server and for the service; for
the latter with `lenient`, which lets pass what is newer than the published types and the missing
ends of an answer that was cut off.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.conformance.item_order import Items
from tests.conformance.reply_order import Replies
from tests.conformance.shape import Event, shape_problems
from tests.conformance.violation import Violation, require

__all__ = ["Transcript", "Violation", "replayed"]

_ANSWERS = {
    "session.update": "session.updated",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "conversation.item.create": "conversation.item.added",
    "conversation.item.delete": "conversation.item.deleted",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.truncate": "conversation.item.truncated",
    "response.create": "response.created",
    "response.cancel": "response.done",
}


@dataclass
class Transcript:
    """Follows one connection, both ways.

    Attributes:
        lenient: For the service itself.
        events: All that was said, each with whether the client said it.
    """

    lenient: bool = False
    events: list[tuple[bool, Event]] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)
    _sent: set[str] = field(default_factory=set)
    _unanswered: dict[str, Event] = field(default_factory=dict)
    _session: str | None = None
    _items: Items = field(init=False)
    _replies: Replies = field(init=False)

    def __post_init__(self) -> None:
        self._items, self._replies = Items(self.lenient), Replies(self.lenient)

    def sent(self, event: Event) -> None:
        """Take a client event in; with an `event_id` it must be answered."""
        self.events.append((True, event))
        kind, name = event.get("type"), event.get("event_id")
        self._items.sent(event)
        if name is not None:
            self._sent.add(name)
            if kind != "input_audio_buffer.append":
                self._unanswered[name] = event

    def received(self, event: Event) -> None:
        """Take a server event in.

        Raises:
            Violation: It cannot come here.
        """
        self.events.append((False, event))
        problems = shape_problems(event, additions=self.lenient)
        require(not problems, "; ".join(problems))
        require(event["event_id"] not in self._ids, f"{event['event_id']} was used before")
        self._ids.add(event["event_id"])
        kind = event["type"]
        require((kind == "session.created") == (self._session is None), f"{kind} comes first")
        if kind.startswith("session."):
            self._about_session(event["session"])
        if kind == "error":
            self._refused(event["error"])
        self._answered(event)
        self._items.received(event)
        self._replies.received(event)

    def finish(self) -> None:
        """Check that everything was ended and answered.

        Raises:
            Violation: Something was not.
        """
        require(self._session is not None, "there was no session.created")
        require(not self._unanswered, f"unanswered: {list(self._unanswered.values())}")
        self._items.finish()
        self._replies.finish()

    def kinds(self) -> list[str]:
        """Return the types of what the server said."""
        return [event["type"] for by_client, event in self.events if not by_client]

    def _about_session(self, session: Event) -> None:
        require(self._session in (None, session["id"]), "the session changes its id")
        self._session = session["id"]

    def _refused(self, error: Event) -> None:
        name = error.get("event_id")
        require(bool(error["message"]), "an error says nothing")
        require(name is None or name in self._sent, f"an error for {name}, which was not sent")
        self._unanswered.pop(name or "", None)

    def _answered(self, event: Event) -> None:
        for name, asked in self._unanswered.items():
            if _ANSWERS.get(asked.get("type", "")) == event["type"] and self._fits(asked, event):
                if event["type"] == "session.updated":
                    self._require_echo(asked["session"], event["session"], "session")
                del self._unanswered[name]
                return

    def _fits(self, asked: Event, event: Event) -> bool:
        """Tell whether an event of the right type is about what the client named."""
        wanted = asked.get("item_id") or asked.get("item", {}).get("id")
        item = event.get("item") or {}
        if wanted:
            place = ("content_index", "audio_end_ms")
            same = all(event.get(key) == asked[key] for key in place if key in asked)
            return same and bool(wanted == (event.get("item_id") or item.get("id")))
        if "item" in asked:
            same = all(item.get(key) == asked["item"].get(key) for key in ("type", "role"))
            return same and not self._replies.owns(item["id"])
        return True

    def _require_echo(self, asked: object, told: object, at: str) -> None:
        """Check that a session has what the client has set; null leaves things to the server."""
        if told is None and self.lenient:
            return
        if isinstance(asked, dict) and isinstance(told, dict):
            for key, value in asked.items():
                if value is not None:
                    self._require_echo(value, told.get(key), f"{at}.{key}")
        elif isinstance(asked, list | tuple) and isinstance(told, list):
            require(len(asked) == len(told), f"{at} has another length")
            for index, (one, other) in enumerate(zip(asked, told, strict=True)):
                self._require_echo(one, other, f"{at}.{index}")
        else:
            require(asked == told, f"{at} was set to {asked!r} and is {told!r}")


def replayed(events: list[tuple[bool, Event]], *, lenient: bool = False) -> Transcript:
    """Check a transcript from its first event to its last.

    Raises:
        Violation: It is none of the protocol.
    """
    transcript = Transcript(lenient)
    for by_client, event in events:
        (transcript.sent if by_client else transcript.received)(event)
    transcript.finish()
    return transcript
