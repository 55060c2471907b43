"""What a script understands of a caller who describes something, and agrees to what it is."""

from __future__ import annotations

import json

from local.realtime.brain import Act, Call, Prompt, Say
from local.realtime.brain.dialogue import ScriptBrain
from local.realtime.brain.script import Script
from local.realtime.configuration import Tool
from local.realtime.conversation import Item

SCRIPT = Script.model_validate(
    {
        "when": "",
        "greeting": "Hello.",
        "unsure": {"again": "Pardon?", "refer": "Sorry."},
        "slots": {
            "problem": {
                "parse": "phrase",
                "hear": [r"leaking (?:tap|pipe)"],
                "ask": "What is wrong?",
                "forget": ["agreed"],
            },
            "phone": {"parse": "phone", "ask": "Your number?", "forget": ["agreed"]},
            "message": {"parse": "anything", "ask": "What should I pass on?"},
            "change": {"parse": "text", "ask": "What is?"},
            "agreed": {"parse": "agreement", "ask": "A {problem}, {phone:digits}. Is that right?"},
        },
        "goals": {
            "message": {
                "steps": [
                    {"need": "message"},
                    {
                        "call": {
                            "tool": "pass_on",
                            "unavailable": "A {message}.",
                            "then": ".",
                            "ends": True,
                        }
                    },
                ]
            },
            "job": {
                "steps": [
                    {"need": "problem"},
                    {"call": {"tool": "note", "arguments": {"x": "{problem}"}, "keep": {"a": "a"}}},
                    {"need": "phone"},
                    {"need": "agreed"},
                    {
                        "call": {
                            "tool": "note",
                            "arguments": {"y": "{phone}"},
                            "keep": {"b": "b"},
                            "reread": ["agreed"],
                            "then": "Done.",
                            "refused": "Hm.",
                            "ends": True,
                        }
                    },
                ]
            },
        },
        "rules": [
            {"hear": ["message"], "pursue": "message"},
            {"hear": ["no"], "expecting": "agreed", "say": "What is?", "expect": "change"},
            {"hear": ["help"], "pursue": "job"},
        ],
    }
)


async def after(*said: str) -> Act:
    """Return what follows these turns; one in braces is what the tool returned."""
    items = []
    for number, text in enumerate(said):
        if text.startswith("{"):
            items.append(Item(f"c{number}", "function_call", call_id=f"k{number}", name="note"))
            item = Item(f"o{number}", "function_call_output", call_id=f"k{number}", text=text)
        else:
            item = Item(f"u{number}", "message", text=text)
        items.append(item)
    tools = (Tool(type="function", name="note"),)
    prompt = Prompt(instructions="", request=None, items=tuple(items), tools=tools)
    (act,) = [act async for act in ScriptBrain((SCRIPT,)).reply(prompt)]
    return act


TO_THE_QUESTION = ("Help, a leaking tap.", '{"a": 1}', "202 555 0199")


async def test_a_phrase_is_taken_out_of_what_was_said() -> None:
    """The words around it are not part of it."""
    act = await after("Help, I have a leaking tap here.")
    assert act == Call("note", json.dumps({"x": "leaking tap"}))


async def test_an_answer_without_the_phrase_is_taken_whole() -> None:
    """Whoever is asked may answer with anything."""
    act = await after("Help", "My roof has gone.")
    assert act == Call("note", json.dumps({"x": "My roof has gone"}))


async def test_a_number_is_read_back_digit_by_digit() -> None:
    """What is asked to be agreed to holds every value."""
    act = await after(*TO_THE_QUESTION)
    assert act == Say("A leaking tap, 2 0 2, 5 5 5, 0 1 9 9. Is that right?")


async def test_a_tool_that_is_called_twice_is_answered_as_it_was_called() -> None:
    """The second result ends the goal, although the first step has the same tool."""
    assert await after(*TO_THE_QUESTION, "Yes.", '{"b": 2}') == Say("Done.")


async def test_a_no_is_left_to_the_rules() -> None:
    """Nothing is called, and what is corrected is read back anew."""
    assert await after(*TO_THE_QUESTION, "No.") == Say("What is?")
    corrected = await after(*TO_THE_QUESTION, "No.", "It is 202 555 0100.")
    assert corrected == Say("A leaking tap, 2 0 2, 5 5 5, 0 1 0 0. Is that right?")


async def test_what_changes_after_a_yes_is_asked_anew() -> None:
    """An agreement is to what was read back, not to what is said later."""
    act = await after(*TO_THE_QUESTION, "Yes.", '{"error": "busy"}', "It is 202 555 0100.")
    assert act == Say("A leaking tap, 2 0 2, 5 5 5, 0 1 0 0. Is that right?")


async def test_a_text_that_comes_out_empty_is_no_argument() -> None:
    """What is not known is left out; what is no text is given as it is."""
    step = {"tool": "note", "arguments": {"x": "{nothing}", "y": True}, "then": ".", "ends": True}
    script = Script.model_validate(
        {
            "when": "",
            "greeting": "Hello.",
            "unsure": {"again": "Pardon?", "refer": "Sorry."},
            "rules": [{"hear": ["go"], "call": step}],
        }
    )
    items = (Item("u", "message", text="Go"),)
    tools = (Tool(type="function", name="note"),)
    prompt = Prompt(instructions="", request=None, items=items, tools=tools)
    assert [act async for act in ScriptBrain((script,)).reply(prompt)] == [
        Call("note", '{"y": true}')
    ]


async def test_a_message_is_taken_whatever_it_says() -> None:
    """Its words are for somebody else: no rule is for them."""
    assert await after("A message", "Tell them I need help") == Say("A Tell them I need help.")


async def test_what_was_not_heard_is_read_back_once_more() -> None:
    """A tool that wants something read back is no refusal to speak of."""
    act = await after(*TO_THE_QUESTION, "Yes.", '{"text": "Not done yet. Read this back: x."}')
    assert act == Say("A leaking tap, 2 0 2, 5 5 5, 0 1 9 9. Is that right?")


async def test_a_text_result_that_is_not_as_it_should_be_is_a_refusal() -> None:
    """Nobody is told that something was done which was not."""
    step = {"tool": "note", "done": ["noted"], "then": "Done.", "refused": "Sorry. {text}"}
    script = Script.model_validate(
        {
            "when": "",
            "greeting": "Hello.",
            "unsure": {"again": "Pardon?", "refer": "Sorry."},
            "rules": [{"hear": ["go"], "call": step}],
        }
    )
    for result, expected in (("Noted: x", "Done."), ("No store.", "Sorry. No store.")):
        items = (
            Item("u", "message", text="Go"),
            Item("c", "function_call", call_id="k", name="note"),
            Item("o", "function_call_output", call_id="k", text=result),
        )
        prompt = Prompt(instructions="", request=None, items=items, tools=())
        assert [act async for act in ScriptBrain((script,)).reply(prompt)] == [Say(expected)]
