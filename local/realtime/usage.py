"""Token figures of a response: estimates in the API's proportions that add up in every sum.

Text counts a token per four characters, audio 10 tokens per second in and 20 out (the API's own
rates). Cached is what was input to the response before, so never more than the input.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from local.realtime.configuration import Configuration
from local.realtime.conversation import Item
from local.realtime.protocol import JsonObject

__all__ = ["Tokens", "input_tokens", "output_tokens", "usage"]


@dataclass(frozen=True)
class Tokens:
    """A number of tokens by kind."""

    text: int = 0
    audio: int = 0

    @property
    def total(self) -> int:
        """Both kinds."""
        return self.text + self.audio

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.text + other.text, self.audio + other.audio)

    def at_most(self, other: Tokens) -> Tokens:
        """Return the smaller figure of each kind."""
        return Tokens(min(self.text, other.text), min(self.audio, other.audio))


def _text(text: str) -> int:
    return -(-len(text) // 4)


def input_tokens(configuration: Configuration, items: Iterable[Item]) -> Tokens:
    """Return what a reply to this conversation reads."""
    tools = sum(
        _text(tool.name) + _text(tool.description or "") + _text(str(tool.parameters or ""))
        for tool in configuration.tools
    )
    tokens = Tokens(text=_text(configuration.instructions) + tools)
    for item in items:
        tokens += _of_item(item)
    return tokens


def _of_item(item: Item) -> Tokens:
    if item.spoken:
        rate = 20 if item.role == "assistant" else 10
        return Tokens(audio=-(-item.audio_ms * rate // 1000))
    return Tokens(text=_text(item.text) + _text(item.name) + _text(item.arguments))


def output_tokens(items: Iterable[Item]) -> Tokens:
    """Return what a reply of these items wrote; speech counts as audio and as its text."""
    tokens = Tokens()
    for item in items:
        tokens += Tokens(
            text=_text(item.text) + _text(item.name) + _text(item.arguments),
            audio=-(-item.audio_ms * 20 // 1000) if item.spoken else 0,
        )
    return tokens


def usage(read: Tokens, cached: Tokens, written: Tokens) -> JsonObject:
    """Return the `usage` of `response.done`."""
    cached = cached.at_most(read)
    return {
        "total_tokens": read.total + written.total,
        "input_tokens": read.total,
        "output_tokens": written.total,
        "input_token_details": {
            "text_tokens": read.text,
            "audio_tokens": read.audio,
            "image_tokens": 0,
            "cached_tokens": cached.total,
            "cached_tokens_details": {
                "text_tokens": cached.text,
                "audio_tokens": cached.audio,
                "image_tokens": 0,
            },
        },
        "output_token_details": {"text_tokens": written.text, "audio_tokens": written.audio},
    }
