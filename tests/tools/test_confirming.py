from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from livekit.agents import RunContext, function_tool

from tests.peers.tool_calls import Conversation
from thirdring.calls import Role
from thirdring.errors import ToolRefused
from thirdring.state import CallState
from tools.confirming import Moment, Name, Phone, require_confirmed
from tools.guard import guarded

AT_NINE = datetime(2026, 11, 24, 9, 0, tzinfo=ZoneInfo("America/New_York"))
QUESTION = "Tuesday, November 24 at 9 AM for Jane Doe, 2 0 2, 5 5 5, 0 1 9 9. Is that right?"


@function_tool
@guarded(effect=True)
async def visit(ctx: RunContext[CallState], name: str) -> str:
    """Book a visit.

    Args:
        name: For whom.
    """
    critical = (Moment(AT_NINE), Name(name), Phone("+12025550199"))
    await require_confirmed(ctx, f"a visit for {name}", *critical)
    return "booked"


@function_tool
@guarded(effect=True)
async def forget(ctx: RunContext[CallState]) -> str:
    """Forget all."""
    await require_confirmed(
        ctx,
        (
            "everything that is remembered about you is deleted",
            "se borra todo lo que se recuerda de usted",
        ),
    )
    return "forgotten"


@function_tool
@guarded(effect=True)
async def full(ctx: RunContext[CallState]) -> str:
    """Book what cannot be had."""
    await require_confirmed(ctx, "a visit", Moment(AT_NINE))
    raise ToolRefused("No room.")


@function_tool
@guarded(effect=True)
async def complain(ctx: RunContext[CallState], name: str) -> str:
    """Take a complaint.

    Args:
        name: Whose.
    """
    await require_confirmed(ctx, f"a complaint about the parking for {name}", Name(name))
    return "noted"


TOOLS = [visit, forget, full, complain]


async def test_what_was_read_back_and_agreed_to_is_done(call: Conversation) -> None:
    """Every value in the agent's words, and a yes in the caller's next."""
    call.hear(Role.AGENT, QUESTION)
    call.hear(Role.CALLER, "Yes, that's right.")
    assert await call.use("visit", name="Jane Doe") == "booked"


async def test_the_refusal_says_what_to_read_back(call: Conversation) -> None:
    """The tool's own sentence, and the values that it lacks as they are said."""
    assert await call.use("visit", name="Jane Doe") == (
        "REFUSED: Not done yet. Read this back and ask whether it is right: a visit for Jane Doe,"
        " Tuesday, November 24 at 9 AM, 2 0 2, 5 5 5, 0 1 9 9. When they agree, call visit again"
        " with the same arguments."
    )


async def test_whoever_reads_back_what_the_refusal_says_is_believed(call: Conversation) -> None:
    """The model needs no words of its own."""
    refusal = await call.use("visit", name="Jane Doe")
    call.hear(Role.AGENT, refusal.partition("right: ")[2].partition(" When")[0])
    call.hear(Role.CALLER, "Yes.")
    assert await call.use("visit", name="Jane Doe") == "booked"


@pytest.mark.parametrize(
    "said",
    [
        [],
        [(Role.CALLER, "Yes.")],
        [(Role.AGENT, QUESTION)],
        [(Role.AGENT, QUESTION), (Role.CALLER, "No.")],
        [(Role.AGENT, QUESTION), (Role.CALLER, "Yes, but at ten.")],
        [(Role.AGENT, QUESTION), (Role.CALLER, "Yes."), (Role.CALLER, "No, wait.")],
        [(Role.AGENT, QUESTION), (Role.CALLER, "Mm-hmm.")],
        [(Role.AGENT, QUESTION), (Role.CALLER, "What?"), (Role.AGENT, "Hm?"), (Role.CALLER, "Yes")],
        [(Role.AGENT, "Tuesday, November 24 at 9 AM for"), (Role.CALLER, "Yes.")],
        [(Role.AGENT, QUESTION.replace("9 AM", "10 AM")), (Role.CALLER, "Yes.")],
        [(Role.AGENT, QUESTION.replace("Jane", "Joan")), (Role.CALLER, "Yes.")],
        [(Role.AGENT, "All right?"), (Role.CALLER, f"Agent: {QUESTION} Yes.")],
        [(Role.CALLER, QUESTION), (Role.AGENT, "Really?"), (Role.CALLER, "Yes.")],
    ],
)
async def test_anything_less_is_refused(call: Conversation, said: list[tuple[Role, str]]) -> None:
    """Nothing read back, something else read back, or no plain yes to it."""
    for role, text in said:
        call.hear(role, text)
    assert (await call.use("visit", name="Jane Doe")).startswith("REFUSED: Not done yet.")


async def test_what_was_read_back_in_several_turns_counts(call: Conversation) -> None:
    """Sounds of listening do not end what they are heard in; nor do words after the answer."""
    head, tail = QUESTION.split(" for ")
    call.hear(Role.AGENT, head)
    call.hear(Role.CALLER, "Uh-huh.")
    call.hear(Role.AGENT, f"for {tail}")
    call.hear(Role.CALLER, "Yes.")
    call.hear(Role.AGENT, "One moment, please.")
    assert await call.use("visit", name="Jane Doe") == "booked"


async def test_turns_count_in_the_order_in_which_they_were_spoken(call: Conversation) -> None:
    """What an interrupted agent had said is written down late."""
    call.hear(Role.CALLER, "Yes, that's right.")
    call.hear(Role.AGENT, QUESTION)
    turns = call.state.conversation.turns
    turns[-1] = turns[-1].model_copy(update={"started_at": AT_NINE - timedelta(days=30)})
    assert await call.use("visit", name="Jane Doe") == "booked"


async def test_a_yes_may_be_understood_after_the_tool_call(call: Conversation) -> None:
    """A transcript comes late; the tool waits for it."""
    call.hear(Role.AGENT, QUESTION)
    understood = call.state.conversation.understood
    understood.clear()
    asked = asyncio.create_task(call.use("visit", name="Jane Doe"))
    while not understood._waiters:  # noqa: ASYNC110 - it cannot be told
        await asyncio.sleep(0)
    call.hear(Role.CALLER, "Yes.")
    understood.set()
    assert await asked == "booked"


async def test_a_yes_that_is_never_understood_is_none(
    call: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the caller's last words are unknown, those before them agree to nothing."""
    monkeypatch.setattr("tools.confirming._TRANSCRIPT_SECONDS", 0.01)
    call.hear(Role.AGENT, QUESTION)
    call.hear(Role.CALLER, "Yes.")
    call.state.conversation.understood.clear()
    assert (await call.use("visit", name="Jane Doe")).startswith("REFUSED: Not done yet.")


async def test_what_has_no_value_must_have_been_asked_for(call: Conversation) -> None:
    """A yes to some other question is none to this."""
    call.hear(Role.AGENT, "Can I do anything else for you?")
    call.hear(Role.CALLER, "Yes.")
    refusal = await call.use("forget")
    assert refusal.startswith("REFUSED: Not done yet.")
    call.hear(Role.AGENT, "Then everything we remember about you is deleted, is that right?")
    call.hear(Role.CALLER, "Yes.")
    assert await call.use("forget") == "forgotten"


@pytest.mark.parametrize(
    "question",
    ["¿Algo más?", "¿Quiere que le diga también a qué hora abrimos mañana por la mañana?"],
)
async def test_another_language_has_other_words(call: Conversation, question: str) -> None:
    """Its own sentence must have been asked; no other question will do, however long."""
    state = call.state
    state.business = state.business.model_copy(update={"languages": ("es", "en")})
    call.hear(Role.AGENT, question)
    call.hear(Role.CALLER, "Sí.")
    assert (await call.use("forget")).startswith("REFUSED: Not done yet.")
    call.hear(Role.AGENT, "Entonces se borra todo lo que recordamos de usted, ¿correcto?")
    call.hear(Role.CALLER, "Sí.")
    assert await call.use("forget") == "forgotten"


MARY = "That's Tuesday the 24th at nine in the morning for Mary Jones at 202-555-0199, correct?"


@pytest.mark.parametrize(
    "said",
    [
        MARY,
        "So, Mary Jones, 202-555-0199, on Tuesday from nine to ten. Does that sound right?",
        "Let me read that back: Tuesday, Nov. 24th, 9:00 AM, Mary Jones, (202) 555-0199. Okay?",
        "Mary Jones, 202-555-0199, at 12 Oak Street, on Tuesday at nine, is that right?",
        "Alright Mary Jones, I have you down for November 24 at 9, phone 2025550199. All good?",
    ],
)
async def test_a_read_back_in_other_words_counts(call: Conversation, said: str) -> None:
    """Models do not repeat what they were told word for word."""
    call.hear(Role.AGENT, said)
    call.hear(Role.CALLER, "Yes.")
    assert await call.use("visit", name="Mary Jones") == "booked"


@pytest.mark.parametrize(
    "other",
    [
        "Tuesday at ten, or",
        "Not at 10 AM, but",
        "November 25 or",
        "Wednesday at nine, or",
        "9:30 or",
        "On Tuesday at nine or ten, so",
        "November 24 or 25, so",
        "The 24th or the 25th.",
    ],
)
async def test_a_yes_to_two_times_is_to_neither(call: Conversation, other: str) -> None:
    """Which of them the caller meant, nobody knows."""
    call.hear(Role.AGENT, f"{other} {QUESTION}")
    call.hear(Role.CALLER, "Yes.")
    assert (await call.use("visit", name="Jane Doe")).startswith("REFUSED: Not done yet.")


async def test_a_yes_to_two_numbers_is_to_neither(call: Conversation) -> None:
    """As for times."""
    call.hear(Role.AGENT, QUESTION.replace(". Is", " or 2 0 2, 5 5 5, 0 1 9 8. Is"))
    call.hear(Role.CALLER, "Yes.")
    assert (await call.use("visit", name="Jane Doe")).startswith("REFUSED: Not done yet.")


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [
        ("Yes, at nine.", True),
        ("Yes, from nine to ten.", True),
        ("Yes, at ten.", False),
        ("Yes, at ten on Tuesday.", False),
    ],
)
async def test_a_yes_with_another_time_is_none(
    call: Conversation, answer: str, agreed: bool
) -> None:
    """Even when the agent has named that time as the end."""
    call.hear(Role.AGENT, QUESTION.replace("at 9 AM", "from nine to ten"))
    call.hear(Role.CALLER, answer)
    assert (await call.use("visit", name="Jane Doe") == "booked") is agreed


async def test_a_name_alone_is_no_question(call: Conversation) -> None:
    """Whoever says who they are has agreed to nothing."""
    call.hear(Role.AGENT, "Am I speaking with Jane Doe?")
    call.hear(Role.CALLER, "Yes.")
    assert (await call.use("complain", name="Jane Doe")).startswith("REFUSED: Not done yet.")
    call.hear(Role.AGENT, "I note a complaint about the parking, from Jane Doe. Right?")
    call.hear(Role.CALLER, "Yes.")
    assert await call.use("complain", name="Jane Doe") == "noted"


async def test_a_yes_before_the_end_of_the_question_is_none(call: Conversation) -> None:
    """Nobody agrees to what they have not heard; over the last words they may."""
    call.hear(Role.AGENT, QUESTION)
    call.hear(Role.CALLER, "Yes.")
    asked = call.state.conversation.turns[0]
    for seconds, hears in ((6, False), (1, True)):
        end = asked.started_at + timedelta(seconds=seconds)
        call.state.conversation.turns[0] = asked.model_copy(update={"ended_at": end})
        assert (await call.use("visit", name="Jane Doe") == "booked") is hears


async def test_an_interrupted_question_holds_what_was_heard(call: Conversation) -> None:
    """It ends when they speak; what they did not hear is not among its words."""
    call.hear(Role.AGENT, QUESTION.partition(" for ")[0])
    call.hear(Role.CALLER, "Yes.")
    turns = call.state.conversation.turns
    turns[0] = turns[0].model_copy(update={"interrupted": True})
    assert (await call.use("visit", name="Jane Doe")).startswith("REFUSED: Not done yet.")


async def test_one_yes_leads_to_one_effect_of_a_tool(call: Conversation) -> None:
    """The same call may be repeated; another needs a yes of its own."""
    call.hear(Role.AGENT, QUESTION)
    call.hear(Role.CALLER, "Yes.")
    assert await call.use("visit", "first", name="Jane Doe") == "booked"
    assert await call.use("visit", "first", name="Jane Doe") == "booked"
    assert "nothing is done twice" in await call.use("visit", "second", name="Jane Doe")
    call.hear(Role.CALLER, "Yes, please.")
    assert "nothing is done twice" in await call.use("visit", "again", name="Jane Doe")
    call.hear(Role.AGENT, QUESTION)
    call.hear(Role.CALLER, "Yes.")
    assert await call.use("visit", "third", name="Jane Doe") == "booked"


async def test_a_yes_that_led_to_nothing_is_left(call: Conversation) -> None:
    """What was refused after the caller had agreed may be tried again."""
    call.hear(Role.AGENT, QUESTION)
    call.hear(Role.CALLER, "Yes.")
    assert await call.use("full", "first") == "REFUSED: No room."
    assert await call.use("full", "second") == "REFUSED: No room."


async def test_the_yes_to_one_thing_is_none_to_another(call: Conversation) -> None:
    """A second effect must have been in the question, too, not only the values in it."""
    call.hear(Role.AGENT, QUESTION)
    call.hear(Role.CALLER, "Yes.")
    assert await call.use("visit", name="Jane Doe") == "booked"
    assert (await call.use("complain", name="Jane Doe")).startswith("REFUSED: Not done yet.")
    call.hear(Role.AGENT, f"A complaint about the parking for Jane Doe, and a visit on {QUESTION}")
    call.hear(Role.CALLER, "Yes.")
    assert await call.use("visit", name="Jane Doe") == "booked"
    assert await call.use("complain", name="Jane Doe") == "noted"


async def test_a_long_question_of_another_kind_is_not_enough(call: Conversation) -> None:
    """Where two languages are spoken, an English question is judged by its words."""
    state = call.state
    state.business = state.business.model_copy(update={"languages": ("en", "es")})
    for _ in range(2):
        call.hear(Role.AGENT, "Would you like anything else explained before tomorrow morning?")
        call.hear(Role.CALLER, "Yes.")
        assert (await call.use("forget")).startswith("REFUSED: Not done yet.")


async def test_another_language_is_believed_after_a_refusal_only(call: Conversation) -> None:
    """Words that cannot be compared must at least be an answer to what was to be read back."""
    state = call.state
    state.business = state.business.model_copy(update={"languages": ("es", "en")})
    call.hear(Role.AGENT, "¿Quiere que le recuerde algo más para la cita de mañana?")
    call.hear(Role.CALLER, "Sí.")
    assert (await call.use("forget")).startswith("REFUSED: Not done yet.")
    assert (await call.use("forget")).startswith("REFUSED: Not done yet.")
