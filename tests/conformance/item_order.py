"""The events of the conversation: items, their places, the caller's turns and transcripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from tests.conformance.shape import Event
from tests.conformance.violation import require

__all__ = ["Items"]


@dataclass
class _Item:
    kind: str
    role: str | None
    previous: str | None
    done: bool = False
    transcript: str = ""
    transcribed: bool = False


@dataclass
class Items:
    """One conversation, followed as the server tells it.

    Attributes:
        lenient: Whether a transcript may be unfinished in the end.
    """

    lenient: bool = False
    _order: list[str] = field(default_factory=list)
    _known: dict[str, _Item] = field(default_factory=dict)
    _deleted: set[str] = field(default_factory=set)
    _places: set[str | None] = field(default_factory=set)
    """Where the client wanted items; None is the head."""
    _speaking: str | None = None
    _stopped: str | None = None
    _committed: dict[str, str | None] = field(default_factory=dict)
    _since_ms: int = 0
    _transcribes: bool = False
    _to_transcribe: set[str] = field(default_factory=set)
    _commits: int = 0
    """Which the client has asked for and not got."""

    def sent(self, event: Event) -> None:
        """Note where the client wants an item, and that it ends a turn."""
        if event.get("type") == "input_audio_buffer.commit":
            self._commits += 1
        if isinstance(place := event.get("previous_item_id"), str):
            self._places.add(None if place == "root" else place)

    def received(self, event: Event) -> None:
        """Take an event of the conversation or the input buffer in."""
        if step := self._STEPS.get(event["type"]):
            step(self, event)

    def finish(self) -> None:
        """Check that nothing is left open."""
        for name, item in self._known.items():
            gone = self.lenient and name in self._deleted
            require(item.done or gone, f"{name} was added, but never done")
        untold = [name for name in self._to_transcribe if not self._known[name].transcribed]
        require(not untold or self.lenient, f"the transcripts of {untold} have no end")
        require(not self._committed, f"committed, but never added: {sorted(self._committed)}")
        require(self._stopped is None, f"{self._stopped} stopped, but was never committed")

    def _added(self, event: Event) -> None:
        item, previous = event["item"], event.get("previous_item_id")
        name = item["id"]
        require(name not in self._order, f"{name} was added twice")
        last = self._order[-1] if self._order else None
        require(previous == last or previous in self._places, f"{name} stands after {previous}")
        require(previous is None or previous in self._order, f"{previous} is no item")
        if name in self._committed:
            require(self._committed.pop(name) == previous, f"{name} was committed elsewhere")
            require(item.get("role") == "user", f"{name} was committed and is no user's")
        self._order.insert(0 if previous is None else self._order.index(previous) + 1, name)
        self._known[name] = _Item(item["type"], item.get("role"), previous)
        self._deleted.discard(name)

    def _done(self, event: Event) -> None:
        item = event["item"]
        known = self._item(item["id"])
        require(not known.done, f"{item['id']} is done twice")
        require((item["type"], item.get("role")) == (known.kind, known.role), "an item changes")
        require(item.get("status") != "in_progress", f"{item['id']} is done and in progress")
        previous = event.get("previous_item_id")
        fine = previous in (known.previous, self._before(item["id"]))
        require(fine, f"{item['id']} is done after {previous}")
        known.done = True

    def _before(self, name: str) -> str | None:
        index = self._order.index(name) if name in self._order else 0
        return self._order[index - 1] if index else None

    def _item(self, name: str) -> _Item:
        require(name in self._known, f"unknown item {name}")
        return self._known[name]

    def _removed(self, event: Event) -> None:
        require(event["item_id"] in self._order, f"unknown item {event['item_id']}")
        self._order.remove(event["item_id"])
        self._deleted.add(event["item_id"])

    def _truncated(self, event: Event) -> None:
        require(event["item_id"] in self._order, f"unknown item {event['item_id']}")
        require(self._item(event["item_id"]).role == "assistant", "only answers can be truncated")

    def _retrieved(self, event: Event) -> None:
        item = event["item"]
        require(item["id"] in self._order, f"unknown item {item['id']}")
        known = self._item(item["id"])
        require((item["type"], item.get("role")) == (known.kind, known.role), "an item changes")

    # What the caller says

    def _started(self, event: Event) -> None:
        require(self._speaking is None, "speech starts twice")
        require(self._stopped is None, f"{self._stopped} was not committed before more speech")
        require(event["audio_start_ms"] >= 0, "speech starts before the audio")
        self._speaking, self._since_ms = event["item_id"], event["audio_start_ms"]

    def _speech_stopped(self, event: Event) -> None:
        require(self._speaking == event["item_id"], "other speech stops than has started")
        require(event["audio_end_ms"] >= self._since_ms, "speech stops before it starts")
        self._speaking, self._stopped = None, event["item_id"]

    def _was_committed(self, event: Event) -> None:
        name, previous = event["item_id"], event.get("previous_item_id")
        if name != self._stopped:
            require(self._commits > 0, f"{name} is committed, but {self._stopped} has stopped")
            require(self._speaking in (None, name), f"{self._speaking} is being spoken")
            self._commits -= 1
        require(previous == (self._order[-1] if self._order else None), "committed elsewhere")
        require(name not in self._known, f"{name} is committed twice")
        self._speaking = self._stopped = None
        self._committed[name] = previous
        if self._transcribes:
            self._to_transcribe.add(name)

    def _cleared(self, event: Event) -> None:
        del event
        self._speaking = None

    def _configured(self, event: Event) -> None:
        heard = (event["session"].get("audio") or {}).get("input") or {}
        self._transcribes = heard.get("transcription") is not None
        if heard.get("turn_detection") is None:
            self._speaking = None

    def _transcript_delta(self, event: Event) -> None:
        item = self._transcribing(event)
        item.transcript += event.get("delta") or ""

    def _transcribed(self, event: Event) -> None:
        item = self._transcribing(event)
        # Some of the service's transcribers end the whole with a line feed.
        same = item.transcript.strip() == event["transcript"].strip()
        require(same, f"transcript {event['transcript']!r}, its deltas were {item.transcript!r}")
        item.transcribed = True

    def _transcript_failed(self, event: Event) -> None:
        self._transcribing(event).transcribed = True

    def _transcribing(self, event: Event) -> _Item:
        item = self._item(event["item_id"])
        require(item.role == "user", "only what the caller said is transcribed")
        require(event.get("content_index", 0) == 0, "a turn has one content part")
        require(not item.transcribed, f"{event['item_id']} is transcribed twice")
        return item

    _STEPS: ClassVar[dict[str, Callable[[Items, Event], None]]] = {
        "conversation.item.added": _added,
        "conversation.item.done": _done,
        "conversation.item.deleted": _removed,
        "conversation.item.truncated": _truncated,
        "conversation.item.retrieved": _retrieved,
        "conversation.item.input_audio_transcription.delta": _transcript_delta,
        "conversation.item.input_audio_transcription.completed": _transcribed,
        "conversation.item.input_audio_transcription.failed": _transcript_failed,
        "input_audio_buffer.speech_started": _started,
        "input_audio_buffer.speech_stopped": _speech_stopped,
        "input_audio_buffer.committed": _was_committed,
        "input_audio_buffer.cleared": _cleared,
        "session.updated": _configured,
    }
