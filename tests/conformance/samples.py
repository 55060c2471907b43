"""One sample at least for every field that the published client can send."""

from __future__ import annotations

from tests.conformance.shape import Event
from tests.conformance.talk import TOOL, text_item

__all__ = ["EVENTS", "ITEMS", "NO_ITEMS", "NO_RESPONSES", "NO_SESSIONS", "RESPONSES", "SESSIONS"]

FORCED = {"tools": [TOOL], "tool_choice": {"type": "function", "name": TOOL["name"]}}
SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.6,
    "prefix_padding_ms": 200,
    "silence_duration_ms": 300,
    "create_response": False,
    "interrupt_response": False,
}
TRANSCRIPTION = {
    "model": "gpt-4o-transcribe",
    "language": "en",
    "languages": ["en"],
    "prompt": "names",
    "keywords": ["Riverside"],
    "delay": "low",
}
TRACING = {"workflow_name": "calls", "group_id": "g", "metadata": {"a": "b"}}
RETENTION = {
    "type": "retention_ratio",
    "retention_ratio": 0.5,
    "token_limits": {"post_instructions": 5000},
}

SESSIONS: list[Event] = [
    {"model": "some-model", "instructions": "Be brief.", "max_output_tokens": 7},
    {"max_output_tokens": "inf", "output_modalities": ["text"]},
    FORCED,
    {"tools": [{"type": "function", "name": "bare"}], "tool_choice": "required"},
    {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}},
    {"audio": {"input": {"format": {"type": "audio/pcma"}}}},
    {"audio": {"input": {"noise_reduction": {"type": "far_field", "strength": 0.5}}}},
    {"audio": {"input": {"transcription": TRANSCRIPTION}}},
    {"audio": {"input": {"turn_detection": SERVER_VAD}}},
    {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}},
    {"audio": {"input": {"noise_reduction": None, "transcription": None, "turn_detection": None}}},
    {"audio": {"output": {"format": {"type": "audio/pcmu"}, "speed": 1.2, "voice": "cedar"}}},
    {"audio": {"output": {"voice": {"id": "voice_1"}, "format": {"rate": 24000}}}},
    {"tracing": "auto", "truncation": "disabled", "parallel_tool_calls": True},
    {"tracing": TRACING, "truncation": RETENTION, "reasoning": {"effort": "low"}},
    {"include": ["item.input_audio_transcription.logprobs"]},
]
"""What a session can be."""

MCP = {"type": "mcp", "server_label": "s", "server_url": "https://mcp.example"}
NO_SESSIONS: dict[str, Event] = {
    "session.prompt": {"prompt": {"id": "p"}},
    "session.tools.0.type": {"tools": [MCP]},
    "session.tools": {"tools": [MCP]},
    "session.tool_choice": {"tool_choice": {"type": "mcp", "server_label": "s"}},
    "session.audio.input.turn_detection.idle_timeout_ms": {
        "audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}}
    },
    "session.type": {"type": "transcription"},
}
"""What it cannot be, by the field that the refusal names."""

CALL = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
STAMPS = {"object": "realtime.item", "status": "completed"}
ITEMS: list[Event] = [
    {**text_item("Be brief.", "system"), **STAMPS, "id": "i1"},
    {**text_item("Hello?"), **STAMPS, "id": "i2"},
    {**text_item("Yes?", "assistant"), **STAMPS, "id": "i3"},
    {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_audio", "audio": "AAAAAAAA", "transcript": "Hello?"}],
    },
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_audio", "audio": "AAAA", "transcript": "Yes?"}],
    },
    {**CALL, **STAMPS, "id": "i4"},
    {"type": "function_call_output", "call_id": "c", "output": "o", **STAMPS, "id": "i5"},
    {"type": "function_call", "name": "f", "arguments": "{}"},
]
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
NO_ITEMS: dict[str, list[Event]] = {
    "content.0.type": [{"type": "message", "role": "user", "content": [IMAGE]}],
    "type": [
        {"type": "mcp_approval_response", "id": "m", "approval_request_id": "r", "approve": True},
        {
            "type": "mcp_approval_request",
            "id": "m",
            "arguments": "",
            "name": "f",
            "server_label": "s",
        },
        {"type": "mcp_list_tools", "server_label": "s", "tools": []},
        {**CALL, "type": "mcp_call", "id": "m", "server_label": "s"},
    ],
}

RESPONSES: list[Event] = [
    {"instructions": "Be brief.", "metadata": {"a": "b"}, "conversation": "none"},
    {"conversation": "auto", "max_output_tokens": 7, "output_modalities": ["text"], **FORCED},
    {"max_output_tokens": "inf", "tool_choice": "none", "parallel_tool_calls": False},
    {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "cedar"}}},
    {"audio": {"output": {"voice": {"id": "voice_1"}}}, "reasoning": {"effort": "low"}},
    {"input": ITEMS},
    {"input": []},
]
NO_RESPONSES: dict[str, Event] = {
    "response.prompt": {"prompt": {"id": "p"}},
    "response.tools.0.type": {"tools": [MCP]},
    "response.tool_choice": {"tool_choice": {"type": "function", "name": "unknown"}},
    "response.input.0.type": {"input": NO_ITEMS["type"][:1]},
    "response.input.1.id": {"input": [text_item("Hi"), {"type": "item_reference", "id": "none"}]},
    "response.audio.output.format": {"audio": {"output": {"format": {"type": "audio/opus"}}}},
    "response.audio.input": {"audio": {"input": {}}},
    "response.metadata": {"metadata": {str(number): "" for number in range(17)}},
}

QUIET = "AAAA" * 1600
EVENTS: dict[str, tuple[Event, str | None]] = {
    "session.update": ({"session": {"type": "realtime"}}, "session.updated"),
    "input_audio_buffer.append": ({"audio": QUIET}, None),
    "input_audio_buffer.commit": ({}, "input_audio_buffer.committed"),
    "input_audio_buffer.clear": ({}, "input_audio_buffer.cleared"),
    "output_audio_buffer.clear": ({}, "error"),
    "conversation.item.create": (
        {"item": text_item("Hi", id="i"), "previous_item_id": "root"},
        "conversation.item.added",
    ),
    "conversation.item.retrieve": ({"item_id": "i"}, "conversation.item.retrieved"),
    "conversation.item.delete": ({"item_id": "i"}, "conversation.item.deleted"),
    "response.create": ({"response": {"conversation": "none"}}, "response.created"),
    "response.cancel": ({"response_id": "none"}, "error"),
    "conversation.item.truncate": (
        {"item_id": "none", "content_index": 0, "audio_end_ms": 0},
        "error",
    ),
}
"""In this order: what is sent, and the type of what it is answered with."""
