"""The published client in text: turns, tools, items, errors, connections."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.conformance.talk import (
    HANG,
    INSTRUCTIONS,
    LONG,
    MOST_TOKENS,
    TOOL,
    Service,
    text_item,
)

TEXT: dict[str, Any] = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}}


async def test_a_text_turn(service: Service) -> None:
    """Asked in text, the answer comes in pieces, is complete, and stands in the conversation."""
    async with service.talk(**TEXT) as talk:
        response = await talk.ask("Hello, who is this?")
        assert response["status"] == "completed"
        (item,) = response["output"]
        assert item["content"][0]["text"]
        await talk.connection.conversation.item.retrieve(item_id=item["id"])
        kept = (await talk.until("conversation.item.retrieved"))["item"]
        assert kept["content"] == item["content"]


async def test_the_synchronous_client(service: Service) -> None:
    """The client without asyncio holds the same conversation."""

    def talk() -> str:
        with (
            OpenAI(api_key=service.api_key, base_url=service.base_url) as client,
            client.realtime.connect(model=service.model) as connection,
        ):
            asked = {"instructions": INSTRUCTIONS, "max_output_tokens": MOST_TOKENS, **TEXT}
            session: Any = {"type": "realtime", **asked}
            connection.session.update(session=session)
            connection.conversation.item.create(item=text_item("Hello?"))
            connection.response.create()
            for event in connection:
                assert event.type != "error"
                if event.type == "response.output_text.done":
                    return event.text
        raise AssertionError

    async with asyncio.timeout(HANG):
        assert await asyncio.to_thread(talk)


async def test_a_tool_turn(service: Service) -> None:
    """The call that was insisted on comes with JSON arguments; its output is answered in words."""
    choice = {"type": "function", "name": TOOL["name"]}
    async with service.talk(**TEXT, tools=[TOOL]) as talk:
        response = await talk.ask("When are you open?", tool_choice=choice)
        (call,) = (item for item in response["output"] if item["type"] == "function_call")
        assert (call["name"], call["status"]) == (TOOL["name"], "completed")
        assert isinstance(json.loads(call["arguments"]), dict)
        output: Any = {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": json.dumps({"text": "We are open from nine to five."}),
        }
        await talk.connection.conversation.item.create(item=output)
        answer = await talk.reply(tool_choice="none")
        assert [item["type"] for item in answer["output"]] == ["message"]


async def test_items_are_created_placed_retrieved_and_deleted(service: Service) -> None:
    """`root` is the head; what was deleted is gone, and asking for it again is an error."""
    async with service.talk(**TEXT) as talk:
        create = talk.connection.conversation.item.create
        await create(item=text_item("Hello?", id="item_b"))
        await talk.until("conversation.item.done")
        await create(item=text_item("Be brief.", "system", id="item_a"), previous_item_id="root")
        assert (await talk.until("conversation.item.added")).get("previous_item_id") is None
        await talk.until("conversation.item.done")
        await create(item=text_item("Yes?", "assistant", id="item_c"), previous_item_id="item_b")
        assert (await talk.until("conversation.item.added"))["previous_item_id"] == "item_b"
        await talk.until("conversation.item.done")
        await talk.connection.conversation.item.retrieve(item_id="item_c")
        assert (await talk.until("conversation.item.retrieved"))["item"]["role"] == "assistant"
        await talk.connection.conversation.item.delete(item_id="item_b")
        assert (await talk.until("conversation.item.deleted"))["item_id"] == "item_b"
        for kind in ("conversation.item.delete", "conversation.item.retrieve"):
            await talk.refused({"type": kind, "item_id": "item_b"})


async def test_a_reply_out_of_band(service: Service) -> None:
    """It reads its own input, echoes its metadata, and leaves the conversation as it was."""
    async with service.talk(**TEXT) as talk:
        item = text_item("What is the name of the clinic?", id="item_asked")
        await talk.connection.conversation.item.create(item=item)
        await talk.until("conversation.item.done")
        before = talk.transcript.kinds().count("conversation.item.added")
        response = await talk.reply(
            conversation="none",
            metadata={"topic": "name"},
            input=[{"type": "item_reference", "id": "item_asked"}, text_item("One word, please.")],
        )
        assert response["conversation_id"] is None
        assert (response["status"], response["metadata"]) == ("completed", {"topic": "name"})
        assert talk.transcript.kinds().count("conversation.item.added") == before


async def test_a_reply_out_of_band_runs_beside_another(service: Service) -> None:
    """Asked for while one is spoken, it is made too, and the spoken one is not disturbed."""
    async with service.talk(audio={"input": {"turn_detection": None}}) as talk:
        await talk.connection.conversation.item.create(item=text_item(LONG))
        await talk.connection.response.create()
        await talk.until("response.output_audio.delta")
        aside: Any = {"conversation": "none", "output_modalities": ["text"], "input": []}
        await talk.connection.response.create(response=aside)
        ended = [await talk.done(), await talk.done()]
        assert {response["status"] for response in ended} == {"completed"}
        assert sum(response["conversation_id"] is None for response in ended) == 1


@pytest.mark.parametrize(
    "event",
    [
        {"type": "input_audio_buffer.shout"},
        {"type": "input_audio_buffer.append", "audio": "no base64!"},
        {"type": "conversation.item.delete"},
        {"type": "conversation.item.create", "item": {"type": "picture"}},
        {"type": "session.update", "session": {"type": "realtime", "colour": "red"}},
        {"type": "session.update", "session": {"type": "realtime", "tools": 3}},
        {"type": "response.create", "response": {"temperature": "hot"}},
        {"type": "response.cancel"},
        {"type": "input_audio_buffer.commit"},
    ],
    ids=lambda event: f"{event['type']}-{len(event)}",
)
async def test_what_cannot_be_done_is_an_error_with_its_event_id(
    service: Service, event: Any
) -> None:
    """The error names the event, and the connection goes on."""
    async with service.talk(**TEXT) as talk:
        error = await talk.refused(event)
        assert error["message"]
        if service.local and error["param"] == "type":
            assert event["type"] in error["message"]
        await talk.connection.input_audio_buffer.clear()
        await talk.until("input_audio_buffer.cleared")


async def test_two_connections_do_not_meet(service: Service) -> None:
    """Each has a session and a conversation of its own, and both are answered at once."""
    async with service.talk(**TEXT) as one, service.talk(**TEXT) as other:
        answers = await asyncio.gather(one.ask("Hello?"), other.ask("Hi, who is this?"))
        assert [answer["status"] for answer in answers] == ["completed", "completed"]
        name = answers[0]["output"][0]["id"]
        await other.refused({"type": "conversation.item.retrieve", "item_id": name})


async def test_a_new_connection_is_a_new_session(service: Service) -> None:
    """After a reconnect the conversation is empty until the client fills it again."""
    sessions = []
    for _ in range(2):
        async with service.talk(configure=False) as talk:
            sessions.append(talk.transcript.events[0][1]["session"]["id"])
            kept = {"type": "conversation.item.retrieve", "item_id": "item_kept"}
            await talk.refused(kept)
            await talk.connection.conversation.item.create(item=text_item("Hi", id="item_kept"))
            await talk.until("conversation.item.done")
    assert len(set(sessions)) == 2


async def test_a_session_is_told_as_it_was_set(service: Service) -> None:
    """Every setting that clients commonly send is taken and told again."""
    heard = {
        "format": {"type": "audio/pcm", "rate": 24000},
        "noise_reduction": {"type": "near_field"},
        "transcription": {"model": "gpt-4o-mini-transcribe", "language": "en"},
        "turn_detection": {"type": "semantic_vad", "eagerness": "high", "create_response": False},
    }
    spoken = {"format": {"type": "audio/pcmu"}, "voice": "cedar", "speed": 1.1}
    async with service.talk(
        audio={"input": heard, "output": spoken},
        include=["item.input_audio_transcription.logprobs"],
        tools=[TOOL],
        tool_choice="none",
        tracing=None,
        truncation={"type": "retention_ratio", "retention_ratio": 0.8},
    ) as talk:
        assert (await talk.configure(instructions="Be brief."))["instructions"] == "Be brief."


async def test_a_client_secret_opens_a_session_with_its_settings(service: Service) -> None:
    """It expires, and the session that it opens begins with what was asked for."""
    async with service.client() as client:
        secret = await client.realtime.client_secrets.create(
            session={"type": "realtime", "model": service.model, "instructions": INSTRUCTIONS},
            expires_after={"anchor": "created_at", "seconds": 60},
        )
        assert secret.value.startswith("ek_")
    async with service.talk(api_key=secret.value, configure=False) as talk:
        assert talk.transcript.events[0][1]["session"]["instructions"] == INSTRUCTIONS


async def test_a_wrong_key_is_refused(service: Service) -> None:
    """Without the right key there is neither a secret nor a session."""
    async with service.client("sk-wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.realtime.client_secrets.create(session={"type": "realtime"})
        with pytest.raises(Exception, match="401"):
            await client.realtime.connect(model=service.model).enter()


async def test_a_reply_can_be_cancelled(service: Service) -> None:
    """It ends as cancelled by the client; there is nothing to cancel a second time."""
    async with service.talk(audio={"input": {"turn_detection": None}}) as talk:
        await talk.connection.conversation.item.create(item=text_item(LONG))
        await talk.connection.response.create()
        created = await talk.until("response.created")
        await talk.until("response.output_audio.delta")
        await talk.connection.response.cancel(response_id=created["response"]["id"])
        response = await talk.done()
        assert response["status"] == "cancelled"
        assert response["status_details"]["reason"] == "client_cancelled"
        await talk.refused({"type": "response.cancel"})
