"""What was heard of an answer, and what it costs."""

from __future__ import annotations

import pytest

from local.realtime.configuration import Configuration
from local.realtime.conversation import Conversation, Item, Segment
from local.realtime.usage import Tokens, input_tokens, output_tokens, usage

ANSWER = Item(
    "a",
    "message",
    role="assistant",
    text="One two. Three four five six.",
    spoken=True,
    audio_ms=3000,
    segments=(Segment("One two.", 1000), Segment("Three four five six.", 2000)),
)


@pytest.mark.parametrize(
    ("audio_end_ms", "heard"),
    [
        (0, ""),
        (1000, "One two."),
        (2000, "One two. Three four"),
        (3000, "One two. Three four five six."),
    ],
)
def test_truncation_keeps_the_words_that_were_played(audio_end_ms: int, heard: str) -> None:
    """Whole sentences stay whole, the one that was cut keeps its share of words."""
    conversation = Conversation()
    conversation.add(ANSWER)
    conversation.truncate("a", audio_end_ms)
    assert conversation.get("a").text == heard
    assert conversation.get("a").audio_ms == audio_end_ms


def test_truncation_twice_keeps_the_shorter() -> None:
    """A second cut works on what the first one left."""
    conversation = Conversation()
    conversation.add(ANSWER)
    conversation.truncate("a", 2000)
    conversation.truncate("a", 1000)
    assert conversation.get("a").text == "One two."


def test_usage_adds_up() -> None:
    """Every total is the sum of its parts, and what is cached is part of what was read."""
    heard = Item("u", "message", role="user", text="hello", spoken=True, audio_ms=1500)
    read = input_tokens(Configuration(instructions="x" * 10), [heard, ANSWER])
    written = output_tokens([ANSWER])
    assert (read, written) == (Tokens(text=3, audio=15 + 60), Tokens(text=8, audio=60))
    figures = usage(read, Tokens(text=100, audio=10), written)
    details = figures["input_token_details"]
    assert figures["input_tokens"] == details["text_tokens"] + details["audio_tokens"]
    assert figures["total_tokens"] == figures["input_tokens"] + figures["output_tokens"]
    assert details["cached_tokens_details"] == {
        "text_tokens": 3,
        "audio_tokens": 10,
        "image_tokens": 0,
    }
    assert details["cached_tokens"] == 13
