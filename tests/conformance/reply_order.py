"""The events of responses: from `response.created` inwards and out again to `response.done`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from tests.conformance.shape import Event
from tests.conformance.violation import require

__all__ = ["Replies", "usage_problem"]

_ENDS = {"text": {"output_text"}, "audio": {"output_audio", "output_audio_transcript"}}
"""What must be done before a part of this type is."""


@dataclass
class _Part:
    type: str
    text: str = ""
    ended: set[str] = field(default_factory=set)
    closed: bool = False


@dataclass
class _Output:
    item: Event
    parts: list[_Part] = field(default_factory=list)
    arguments: str = ""
    arguments_done: bool = False
    final: Event | None = None


@dataclass
class _Reply:
    kept: bool
    outputs: list[_Output] = field(default_factory=list)
    done: bool = False


@dataclass
class Replies:
    """All responses of one connection.

    Attributes:
        lenient: Whether an item that was cut off may lack its ends.
    """

    lenient: bool = False
    _replies: dict[str, _Reply] = field(default_factory=dict)

    def received(self, event: Event) -> None:
        """Take an event of a response in."""
        kind = event["type"]
        if kind == "response.created":
            self._created(event["response"])
        elif kind == "response.done":
            self._done(event["response"])
        elif kind in self._STEPS:
            reply = self._running(event["response_id"])
            self._STEPS[kind](self, reply, event)

    def finish(self) -> None:
        """Check that nothing is left open."""
        for name, reply in self._replies.items():
            require(reply.done, f"{name} was never done")

    def owns(self, item_id: str) -> bool:
        """Tell whether a response made this item."""
        outputs = (output for reply in self._replies.values() for output in reply.outputs)
        return any(output.item["id"] == item_id for output in outputs)

    def _created(self, response: Event) -> None:
        name, kept = response["id"], response.get("conversation_id") is not None
        require(name not in self._replies, f"{name} was created twice")
        require(response["status"] == "in_progress", f"{name} begins as {response['status']}")
        require(not response["output"], f"{name} begins with output")
        busy = any(reply.kept and not reply.done for reply in self._replies.values())
        require(not (kept and busy), f"{name} began while another one ran")
        self._replies[name] = _Reply(kept)

    def _running(self, name: str) -> _Reply:
        require(name in self._replies, f"unknown response {name}")
        require(not self._replies[name].done, f"{name} is over")
        return self._replies[name]

    def _item_added(self, reply: _Reply, event: Event) -> None:
        item, index = event["item"], event["output_index"]
        require(index == len(reply.outputs), f"output {index} is not the next one")
        require(item.get("status") == "in_progress", f"{item['id']} begins as {item.get('status')}")
        empty = not item.get("content") and not item.get("arguments")
        require(empty or self.lenient, f"{item['id']} begins with content")
        earlier = all(output.final for output in reply.outputs)
        require(earlier or self.lenient, f"{item['id']} began before the output before it ended")
        reply.outputs.append(_Output(item))

    def _output(self, reply: _Reply, event: Event) -> _Output:
        index = event["output_index"]
        require(0 <= index < len(reply.outputs), f"there is no output {index}")
        output = reply.outputs[index]
        name = event["item_id"] if "item_id" in event else event["item"]["id"]
        require(output.item["id"] == name, f"output {index} is not {name}")
        require(output.final is None, f"{name} is over")
        return output

    def _part_added(self, reply: _Reply, event: Event) -> None:
        output, part = self._output(reply, event), event["part"]
        require(output.item["type"] == "message", "only messages have content parts")
        require(event["content_index"] == len(output.parts), "not the next content part")
        require(not (part.get("text") or part.get("transcript")), "a part begins with text")
        output.parts.append(_Part(part["type"]))

    def _part(self, reply: _Reply, event: Event) -> _Part:
        output, index = self._output(reply, event), event["content_index"]
        require(0 <= index < len(output.parts), f"there is no content part {index}")
        require(not output.parts[index].closed, f"content part {index} is over")
        return output.parts[index]

    def _delta(self, reply: _Reply, event: Event) -> None:
        part, stream = self._part(reply, event), event["type"].split(".")[1]
        require(stream in _ENDS[part.type], f"{stream} in a part of {part.type}")
        require(stream not in part.ended, f"{stream} goes on after its end")
        if stream != "output_audio":
            part.text += event["delta"]

    def _stream_done(self, reply: _Reply, event: Event) -> None:
        part, stream = self._part(reply, event), event["type"].split(".")[1]
        require(stream in _ENDS[part.type], f"{stream} in a part of {part.type}")
        require(stream not in part.ended, f"{stream} ends twice")
        part.ended.add(stream)
        if stream != "output_audio":
            text = event["text"] if "text" in event else event["transcript"]
            require(text == part.text, f"{stream} ends as {text!r}, its deltas were {part.text!r}")

    def _part_done(self, reply: _Reply, event: Event) -> None:
        part, final = self._part(reply, event), event["part"]
        require(final["type"] == part.type, "a part changes its type")
        require(part.ended == _ENDS[part.type], f"a part is done after {sorted(part.ended)}")
        text = final.get("text") or final.get("transcript") or ""
        require(text == part.text, f"a part ends as {text!r}, its deltas were {part.text!r}")
        part.closed = True

    def _arguments_delta(self, reply: _Reply, event: Event) -> None:
        output = self._call(reply, event)
        output.arguments += event["delta"]

    def _arguments_done(self, reply: _Reply, event: Event) -> None:
        output = self._call(reply, event)
        require(event["name"] == output.item["name"], "a call changes its name")
        require(event["arguments"] == output.arguments, "arguments differ from their deltas")
        output.arguments_done = True

    def _call(self, reply: _Reply, event: Event) -> _Output:
        output = self._output(reply, event)
        require(output.item["type"] == "function_call", "only calls have arguments")
        require(event["call_id"] == output.item["call_id"], "a call changes its call_id")
        require(not output.arguments_done, "arguments go on after their end")
        return output

    def _item_done(self, reply: _Reply, event: Event) -> None:
        output, item = self._output(reply, event), event["item"]
        require(item["type"] == output.item["type"], f"{item['id']} changes its type")
        require(item["status"] in {"completed", "incomplete"}, f"{item['id']} is {item['status']}")
        cut = self.lenient and item["status"] == "incomplete"
        if item["type"] == "function_call":
            require(output.arguments_done or cut, f"{item['id']} lacks its arguments' end")
            require(item["arguments"] == output.arguments or cut, "a call ends otherwise")
        else:
            require(all(p.closed for p in output.parts) or cut, f"{item['id']} has an open part")
            texts = [p.get("text") or p.get("transcript") or "" for p in item["content"]]
            require(texts == [p.text for p in output.parts] or cut, f"{item['id']} ends otherwise")
        output.final = item

    def _done(self, response: Event) -> None:
        reply, status = self._running(response["id"]), response["status"]
        require(status != "in_progress", f"{response['id']} is done and in progress")
        cut = self.lenient and status != "completed"
        require(all(o.final for o in reply.outputs) or cut, f"{response['id']} has an open output")
        finals = [output.final for output in reply.outputs if output.final]
        same = [item["id"] for item in response["output"]] == [item["id"] for item in finals]
        require(same or cut, f"{response['id']} ends with other items")
        require(response["output"] == finals or self.lenient, "an item of the output differs")
        require((response.get("conversation_id") is not None) == reply.kept, "it moved")
        details = response.get("status_details") or {"type": status}
        require(details["type"] == status, f"{status}, but the details say {details['type']}")
        usage = response.get("usage")
        require(usage is not None or cut, f"{response['id']} has no usage")
        require(usage is None or usage_problem(usage) is None, f"usage: {usage}")
        reply.done = True

    _STEPS: ClassVar[dict[str, Callable[[Replies, _Reply, Event], None]]] = {
        "response.output_item.added": _item_added,
        "response.content_part.added": _part_added,
        "response.output_text.delta": _delta,
        "response.output_audio.delta": _delta,
        "response.output_audio_transcript.delta": _delta,
        "response.output_text.done": _stream_done,
        "response.output_audio.done": _stream_done,
        "response.output_audio_transcript.done": _stream_done,
        "response.content_part.done": _part_done,
        "response.function_call_arguments.delta": _arguments_delta,
        "response.function_call_arguments.done": _arguments_done,
        "response.output_item.done": _item_done,
    }


def usage_problem(usage: Event) -> str | None:
    """Return which sum of a response's usage is wrong."""
    read, written = usage["input_token_details"], usage["output_token_details"]
    cached = read.get("cached_tokens_details") or {}
    sums = {
        "total": usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"],
        "input": _sum(read) == usage["input_tokens"],
        "output": _sum(written) == usage["output_tokens"],
        "cached": not cached or _sum(cached) == read["cached_tokens"],
        "more cached than read": read.get("cached_tokens", 0) <= usage["input_tokens"],
    }
    return next((name for name, right in sums.items() if not right), None)


def _sum(details: Event) -> int:
    return sum(details.get(f"{kind}_tokens") or 0 for kind in ("text", "audio", "image"))
