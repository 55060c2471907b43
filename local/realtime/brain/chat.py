"""An OpenAI-compatible chat completions endpoint in the script's place."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from local.realtime.brain import Act, BrainError, Call, Prompt, Say
from local.realtime.conversation import Item
from local.realtime.protocol import JsonObject
from local.realtime.sentences import split_off

__all__ = ["ChatBrain"]

logger = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)


@dataclass
class ChatBrain:
    """Asks a chat model, streaming; a sentence is spoken as soon as it is complete.

    Attributes:
        base_url: As OpenAI's clients take it: `http://127.0.0.1:11434/v1`.
        model: Its name there.
        api_key: None where none is needed.
    """

    http: aiohttp.ClientSession
    base_url: str
    model: str
    api_key: str | None = None

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        """Yield sentences, then calls.

        Raises:
            BrainError: The endpoint cannot be reached or does not answer as expected.
        """
        answer = _Answer()
        try:
            async with self.http.post(
                f"{self.base_url.rstrip('/')}/chat/completions",
                json=_request(self.model, prompt),
                headers={"Authorization": f"Bearer {self.api_key}"} if self.api_key else {},
                timeout=_TIMEOUT,
            ) as response:
                if response.status != 200:
                    why = (await response.text())[:200]
                    raise BrainError(
                        "llm_error", f"{self.base_url} answered {response.status}: {why}"
                    )
                async for line in response.content:
                    for sentence in answer.take(line):
                        yield Say(sentence)
        except (aiohttp.ClientError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise BrainError("llm_unavailable", f"{self.base_url}: {why}") from None
        except HttpProcessingError as error:  # such as a line without an end
            raise BrainError("llm_error", f"{self.base_url}: {error}") from None
        for act in answer.rest():
            yield act

    def foresee(self, prompt: Prompt) -> str | None:
        """Return nothing: asking costs tokens, and most guesses come to nothing."""
        del prompt
        return None


@dataclass
class _Answer:
    """What the stream of server-sent events has said so far."""

    text: str = ""
    names: dict[int, str] = field(default_factory=dict)
    arguments: dict[int, str] = field(default_factory=dict)

    def take(self, line: bytes) -> list[str]:
        """Take one line in and return the sentences that it completes."""
        text = line.decode("utf-8", "replace").strip()
        data = text.removeprefix("data:").strip()
        if not text.startswith("data:") or data in ("", "[DONE]"):
            return []
        try:
            self._take_chunk(json.loads(data))
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise BrainError("llm_error", f"not a chat completion chunk: {text[:200]}") from None
        done, self.text = split_off(self.text)
        return done

    def _take_chunk(self, chunk: JsonObject) -> None:
        if error := chunk.get("error"):
            raise BrainError("llm_error", f"the chat model failed: {str(error)[:200]}")
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {}
            self.text += delta.get("content") or ""
            for call in delta.get("tool_calls") or []:
                self._take_call(call)

    def _take_call(self, call: JsonObject) -> None:
        index, function = int(call.get("index") or 0), call.get("function") or {}
        self.names[index] = self.names.get(index, "") + (function.get("name") or "")
        more = function.get("arguments") or ""
        self.arguments[index] = self.arguments.get(index, "") + more

    def rest(self) -> list[Act]:
        """Return what the end of the stream completes."""
        said: list[Act] = [Say(self.text.strip())] if self.text.strip() else []
        return said + [
            Call(name, self.arguments.get(index) or "{}")
            for index, name in sorted(self.names.items())
        ]


def _request(model: str, prompt: Prompt) -> JsonObject:
    instructions = "\n".join(filter(None, [prompt.instructions, prompt.request]))
    messages: list[JsonObject] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    messages.extend(_message(item) for item in prompt.items if item.text or item.name)
    request: JsonObject = {"model": model, "messages": messages, "stream": True}
    if prompt.tools:
        request["tools"] = [
            {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}
            for tool in prompt.tools
        ]
        request["tool_choice"] = _tool_choice(prompt.tool_choice)
    return request


def _tool_choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    # Realtime names a function flat, chat completions nests it.
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name", "")}}
    return choice


def _message(item: Item) -> JsonObject:
    if item.kind == "function_call":
        function = {"name": item.name, "arguments": item.arguments}
        call = {"id": item.call_id, "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if item.kind == "function_call_output":
        return {"role": "tool", "tool_call_id": item.call_id, "content": item.text}
    return {"role": item.role, "content": item.text}
