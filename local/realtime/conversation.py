"""The items of one conversation, in order, and what of them the caller really heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.realtime.protocol import JsonObject, Refusal, first_problem, new_id

__all__ = ["Conversation", "Item", "Kind", "Role", "Segment", "item_from_client"]

Kind = Literal["message", "function_call", "function_call_output"]
Role = Literal["system", "user", "assistant"]
Status = Literal["completed", "incomplete", "in_progress"]


@dataclass(frozen=True)
class Segment:
    """A piece of an answer and how long its audio takes."""

    text: str
    milliseconds: int


@dataclass(frozen=True)
class Item:
    """One entry of a conversation.

    Attributes:
        text: What was said or written; the output of a function.
        audio_ms: Length of the audio behind it; 0 for text.
        spoken: Whether it was audio.
        segments: The pieces of an answer that was spoken by us.
    """

    id: str
    kind: Kind
    role: Role = "user"
    text: str = ""
    audio_ms: int = 0
    spoken: bool = False
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    status: Status = "completed"
    segments: tuple[Segment, ...] = ()

    def wire(self, *, blank: bool = False) -> JsonObject:
        """Return the item as the API shows it.

        Args:
            blank: Before anything of it is known: no content, no transcript, no arguments. The
                client *appends* the transcript that follows, so it must not stand here already.
        """
        common: JsonObject = {"id": self.id, "object": "realtime.item", "status": self.status}
        if self.kind == "function_call":
            arguments = "" if blank else self.arguments
            call = {"call_id": self.call_id, "name": self.name, "arguments": arguments}
            return common | {"type": self.kind} | call
        if self.kind == "function_call_output":
            return common | {"type": self.kind, "call_id": self.call_id, "output": self.text}
        return common | {
            "type": "message",
            "role": self.role,
            "content": self._content(blank=blank),
        }

    def _content(self, *, blank: bool) -> list[JsonObject]:
        if self.role == "assistant":
            if blank:
                return []
            if self.spoken:
                return [{"type": "output_audio", "transcript": self.text}]
            return [{"type": "output_text", "text": self.text}]
        if self.spoken:
            return [{"type": "input_audio", "transcript": None if blank else self.text}]
        return [{"type": "input_text", "text": self.text}]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Content(_Part):
    """Text, or audio with what is said in it."""

    type: Literal["input_text", "input_audio", "output_text", "output_audio"]
    text: str | None = None
    transcript: str | None = None
    audio: str | None = None


class _Created(_Part):
    """What all items may have; `object` and `status` are as we would set them."""

    id: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    object: Literal["realtime.item"] | None = None
    status: Status | None = None


class _Message(_Created):
    type: Literal["message"]
    role: Role
    content: list[_Content]


class _Call(_Created):
    type: Literal["function_call"]
    call_id: str | None = None
    name: str
    arguments: str


class _Output(_Created):
    type: Literal["function_call_output"]
    call_id: str
    output: str


_MODELS: dict[Any, type[_Message | _Call | _Output]] = {
    "message": _Message,
    "function_call": _Call,
    "function_call_output": _Output,
}


def item_from_client(document: JsonObject, *, at: str = "item") -> Item:
    """Return the item that a client asks to create.

    Args:
        at: Where it stands in the event.

    Raises:
        Refusal: Its type or a field is wrong.
    """
    kind = document.get("type")
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise Refusal("invalid_value", f"Unknown item type: {kind!r}.", param=f"{at}.type")
    try:
        parsed = model.model_validate(document)
    except ValidationError as error:
        raise first_problem(error, document, prefix=at) from None
    identity = parsed.id or new_id("item")
    if isinstance(parsed, _Message):
        text = "\n".join(part.text or part.transcript or "" for part in parsed.content)
        spoken = {part.type for part in parsed.content} in ({"input_audio"}, {"output_audio"})
        return Item(identity, "message", role=parsed.role, text=text.strip(), spoken=spoken)
    if isinstance(parsed, _Call):
        return Item(
            identity,
            "function_call",
            role="assistant",
            call_id=parsed.call_id or new_id("call"),
            name=parsed.name,
            arguments=parsed.arguments,
        )
    return Item(identity, "function_call_output", call_id=parsed.call_id, text=parsed.output)


@dataclass
class Conversation:
    """Items in the order in which the model would read them."""

    _items: list[Item] = field(default_factory=list)

    def __iter__(self) -> Iterator[Item]:
        return iter(tuple(self._items))

    @property
    def last_id(self) -> str | None:
        """The id of the last item; None when there is none."""
        return self._items[-1].id if self._items else None

    def add(self, item: Item, *, after: str | None = None) -> str | None:
        """Insert an item and return the id of the one before it; None for the head.

        Args:
            after: An item's id, `root` for the head, None for the end.

        Raises:
            Refusal: The id exists already, or the place does not.
        """
        if any(other.id == item.id for other in self._items):
            code = "item_create_duplicate_item_id"
            raise Refusal(code, f"There is an item {item.id!r} already.", param="item.id")
        if item.kind == "function_call_output" and not self._has_call(item.call_id):
            raise Refusal(
                "invalid_tool_call_id",
                f"No function call {item.call_id!r} in this conversation.",
                param="item.call_id",
            )
        place = self._place(after)
        self._items.insert(place, item)
        return self._items[place - 1].id if place else None

    def _has_call(self, call_id: str) -> bool:
        return any(i.kind == "function_call" and i.call_id == call_id for i in self._items)

    def _place(self, after: str | None) -> int:
        if after is None:
            return len(self._items)
        if after == "root":
            return 0
        code = "item_create_invalid_previous_item_id"
        return self._index(after, code, param="previous_item_id") + 1

    def get(self, item_id: str, *, param: str = "item_id") -> Item:
        """Return an item.

        Args:
            param: Where the client names it.

        Raises:
            Refusal: There is none with this id.
        """
        code = "item_retrieve_invalid_item_id"
        return self._items[self._index(item_id, code, param=param)]

    def before(self, item_id: str) -> str | None:
        """Return the id of the item in front of this one; None for the head or a deleted item."""
        ids = [item.id for item in self._items]
        index = ids.index(item_id) if item_id in ids else 0
        return ids[index - 1] if index else None

    def put(self, item: Item) -> None:
        """Replace the item with this id; nothing when the client has deleted it meanwhile."""
        self._items = [item if other.id == item.id else other for other in self._items]

    def delete(self, item_id: str) -> None:
        """Take an item out.

        Raises:
            Refusal: There is none with this id.
        """
        del self._items[self._index(item_id, "item_delete_invalid_item_id")]

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Forget what of an answer comes after `audio_end_ms`, because nobody heard it.

        Raises:
            Refusal: There is no such item, it is no spoken answer, or it is not that long.
        """
        index = self._index(item_id, "item_truncate_invalid_item_id")
        item = self._items[index]
        if item.role != "assistant" or not item.spoken:
            raise Refusal(
                "invalid_value", f"Item {item_id!r} is no spoken answer.", param="item_id"
            )
        if audio_end_ms > item.audio_ms:
            raise Refusal(
                "invalid_value",
                f"Audio of {item.audio_ms} ms is already shorter than {audio_end_ms} ms.",
                param="audio_end_ms",
            )
        self._items[index] = _cut(item, audio_end_ms)

    def _index(self, item_id: str, code: str, *, param: str = "item_id") -> int:
        for index, item in enumerate(self._items):
            if item.id == item_id:
                return index
        raise Refusal(code, f"There is no item {item_id!r} in this conversation.", param=param)


def _cut(item: Item, audio_end_ms: int) -> Item:
    kept: list[Segment] = []
    left = audio_end_ms
    for segment in item.segments:
        if left <= 0:
            break
        if segment.milliseconds <= left:
            kept.append(segment)
        else:
            words = segment.text.split(" ")
            heard = round(len(words) * left / segment.milliseconds)
            kept.append(Segment(" ".join(words[:heard]), left))
        left -= segment.milliseconds
    text = " ".join(segment.text for segment in kept if segment.text)
    return replace(
        item, text=text, audio_ms=audio_end_ms, segments=tuple(kept), status="incomplete"
    )
