"""The clinic's script in conversation, and scripts that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.realtime.brain import Prompt
from local.realtime.brain.dialogue import ScriptBrain
from local.realtime.brain.script import load, load_all
from local.realtime.configuration import Tool
from local.realtime.conversation import Item
from thirdring.errors import ConfigError

if TYPE_CHECKING:
    from tests.local.realtime.conftest import Client, Event

SLOTS = json.dumps(
    {
        "day": "2026-11-24",
        "spoken_day": "Tuesday, November 24",
        "slots": [
            {"slot_id": "s_20261124_0900", "spoken": "9 AM"},
            {"slot_id": "s_20261124_0930", "spoken": "9:30 AM"},
            {"slot_id": "s_20261124_1000", "spoken": "10 AM"},
        ],
    }
)
BOOKED = json.dumps(
    {
        "reference": "RC-1042",
        "spoken": "Tuesday, November 24 at 9:30 AM",
        "name": "Ann Baker",
    }
)


def text_of(done: Event) -> str:
    text: str = done["response"]["output"][0]["content"][0]["text"]
    return text


def call_of(done: Event) -> Event:
    item: Event = done["response"]["output"][0]
    assert item["type"] == "function_call"
    assert len(item["call_id"]) <= 32
    return item


async def offered(text: Client) -> None:
    """Get to the question for one of three times."""
    await text.result(call_of(await text.ask("Can I book for Tuesday?")), SLOTS)


async def test_booking_from_the_first_word_to_the_reference(text: Client) -> None:
    """Day, times, name and booking follow each other, with the ids that the code gave."""
    call = call_of(await text.ask("Can I book an appointment for Tuesday?"))
    assert (call["name"], json.loads(call["arguments"])) == ("find_slots", {"day": "tuesday"})
    assert text_of(await text.result(call, SLOTS)) == (
        "Let me see what is free. I have 9 AM, 9:30 AM or 10 AM on Tuesday, November 24. "
        "Which one would you like?"
    )
    assert "full name" in await text.answer("The 9:30 please.")
    assert await text.answer("My name is Ann Baker.") == (
        "That is 9:30 AM on Tuesday, November 24 for Ann Baker, phone number "
        "2 0 2, 5 5 5, 0 1 9 9. Is that right?"
    )
    call = call_of(await text.ask("Yes, it is."))
    arguments = json.loads(call["arguments"])
    assert call["name"] == "book_appointment"
    assert (arguments["slot_id"], arguments["name"]) == ("s_20261124_0930", "Ann Baker")
    assert "reference is RC-1042" in text_of(await text.result(call, BOOKED))
    assert call_of(await text.ask("No, thank you."))["name"] == "end_call"


@pytest.mark.parametrize(
    "choice", ["nine thirty", "half past nine", "the second one", "I'd take the 9.30."]
)
async def test_a_time_is_chosen_in_many_ways(text: Client, choice: str) -> None:
    """Words, digits and ordinals name the same slot."""
    await offered(text)
    assert "full name" in await text.answer(choice)
    await text.answer("Ann Baker")
    call = call_of(await text.ask("Yes."))
    assert json.loads(call["arguments"])["slot_id"] == "s_20261124_0930"


async def test_another_day_voids_the_offers(text: Client) -> None:
    """A caller who changes the day gets new times."""
    await offered(text)
    call = call_of(await text.ask("Actually, could we do Thursday instead?"))
    assert json.loads(call["arguments"]) == {"day": "thursday"}


async def test_a_refusal_is_passed_on(text: Client) -> None:
    """What the tool says no with is said, and the day asked for again."""
    call = call_of(await text.ask("I need an appointment on Sunday"))
    answer = text_of(await text.result(call, "We are closed on Sunday."))
    assert answer == "I'm sorry. We are closed on Sunday. Which other day would suit you?"
    assert json.loads(call_of(await text.ask("Monday then"))["arguments"]) == {"day": "monday"}


async def test_a_question_in_between_leaves_the_goal_open(text: Client) -> None:
    """After the hours the booking's own question comes again, and its answer counts."""
    assert await text.answer("I'd like to make an appointment") == "Which day would suit you?"
    call = call_of(await text.ask("Are you open on Saturday?"))
    assert call["name"] == "opening_hours"
    answer = text_of(await text.result(call, "Monday to Friday 9 AM to 5 PM."))
    assert answer.endswith("Monday to Friday 9 AM to 5 PM. Which day would suit you?")
    assert call_of(await text.ask("Tuesday is good, thank you"))["name"] == "find_slots"


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("Are you a robot?", "virtual assistant of Riverside Clinic"),
        ("My head hurts, what should I take?", "staff"),
        ("How should I prepare for my visit?", "insurance card"),
        ("Can you tell me about the clinic?", "insurance card"),
        ("I have chest pain.", "9 1 1"),
        ("Hello?", "How can I help"),
        ("Where are you located?", "We are at 12 River Street."),
    ],
)
async def test_questions_that_need_no_tool(text: Client, question: str, part: str) -> None:
    """Each is answered at once."""
    assert part in await text.answer(question)


async def test_the_caller_says_goodbye(text: Client) -> None:
    """The call is ended by the tool first, then goodbye is said."""
    call = call_of(await text.ask("Thank you, goodbye."))
    assert (call["name"], call["arguments"]) == ("end_call", "{}")
    assert text_of(await text.result(call, "ok")) == (
        "Thank you for calling Riverside Clinic. Goodbye."
    )


@pytest.mark.parametrize(
    "words",
    [
        "No, thank you.",
        "That is all. thank you. good-bye.",
        "Thanks. Bye-bye!",
        "That\u2019s all.",
        "Thank you the bye.",
    ],
)
async def test_goodbye_in_many_ways(text: Client, words: str) -> None:
    """As people say it and as recognition writes it, it ends the call."""
    assert call_of(await text.ask(words))["name"] == "end_call"


async def test_nothing_is_asked_after_goodbye(text: Client) -> None:
    """A question that is open is not put to somebody who goes."""
    await offered(text)
    done = await text.result(call_of(await text.ask("Goodbye.")), "The call ends.")
    assert "Goodbye" in text_of(done)
    assert "?" not in text_of(done)


async def test_words_that_mean_nothing(text: Client) -> None:
    """The first time it asks again, the second time it refers to staff."""
    assert "did not catch" in await text.answer("Purple elephants dance")
    assert "staff" in await text.answer("Flying green wardrobe")


async def test_tools_that_were_not_declared_are_not_called(text: Client) -> None:
    """The script says so instead."""
    await text.configure(tools=[])
    assert "can't look up our hours" in await text.answer("What are your opening hours?")


async def test_requested_replies_say_what_is_quoted(text: Client) -> None:
    """The quote in the client's own part is said, whatever the session's instructions hold."""
    await text.configure(instructions='You are the virtual receptionist of X. Never say "no".')
    own = 'Greet the caller: say exactly "Hello, this is Riverside." and wait.'
    for instructions in (own, f'You are the virtual receptionist of X. Never say "no".\n{own}'):
        await text.send("response.create", response={"instructions": instructions})
        assert text_of(await text.until("response.done")) == "Hello, this is Riverside."
    await text.send("response.create", response={"instructions": "The caller is silent."})
    assert text_of(await text.until("response.done")) == "Are you still there?"


@pytest.mark.parametrize(
    ("question", "beginning"),
    [
        ("Are you a robot?", "I am a virtual assistant of X. I can tell you our hours"),
        ("What are your opening hours?", "Of course."),
        ("Do you have anything on Tuesday?", "Let me see what is free."),
        ("Goodbye", "Thank you for calling X."),
    ],
)
def test_how_an_answer_begins_is_known_before_its_tool(question: str, beginning: str) -> None:
    """So the first words can be synthesised while the caller pauses and the tool runs."""
    prompt = Prompt(
        instructions="You are the virtual receptionist of X.",
        request=None,
        items=(Item("u", "message", text=question),),
        tools=tuple(
            Tool(type="function", name=name) for name in ("opening_hours", "find_slots", "end_call")
        ),
    )
    assert (ScriptBrain(load_all(Path("workflows"))).foresee(prompt) or "").startswith(beginning)


async def test_small_talk_when_no_script_fits(text: Client) -> None:
    """Other instructions get the built-in script."""
    await text.configure(instructions="You are a pirate.")
    assert await text.answer("Thank you") == "You are welcome."


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("greeting:", "greting:", "greting", "is no key"),
        ("need: day", "need: date", "document", "no slot 'date'"),
        ("pursue: booking", "pursue: bocking", "document", "no goal 'bocking'"),
        ("parse: phone", "parse: telephone", "slots.phone.parse", "Input should be"),
        (
            "expecting: more\n    call:",
            "expecting: more\n    say: x\n    call:",
            "rules",
            "exactly one",
        ),
        ("unsure:", "unsure: [", "document", "expected"),
        ("hear: [robot,", "hear: ['(',", "rules", "pattern"),
        ("hear: [robot,", "hear: [no,", "rules", "put it in quotes"),
        ("unsure:", "greeting: twice\nunsure:", "greeting", "duplicate key"),
        pytest.param(
            *("unsure:", "unsure: " + "[" * 200_000, "document", "nested too deeply"), id="deep"
        ),
    ],
)
def test_wrong_scripts_name_file_and_place(
    tmp_path: Path, old: str, new: str, where: str, what: str
) -> None:
    """A mistake is told with file, line, place in the document and what is wrong."""
    good = Path(load.__globals__["__file__"]).parents[3] / "workflows/patient_questions/script.yaml"
    path = tmp_path / "script.yaml"
    path.write_text(good.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError) as wrong:
        load(path)
    problem = next(one for one in wrong.value.problems if what in one.what)
    assert problem.file == str(path)
    assert problem.path.startswith(where)
    assert where == "document" or problem.line > 1


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    """The workflows folder is named."""
    with pytest.raises(ConfigError, match="no such folder"):
        load_all(tmp_path / "nowhere")
