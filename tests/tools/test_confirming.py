from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from livekit.agents import RunContext, function_tool

from tests.peers.tool_calls import Conversation, calling
from thirdring.calls import Role
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
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
    await require_confirmed(ctx, "everything that is remembered about you is deleted")
    return "forgotten"


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Conversation]:
    async with (
        SqliteStore(tmp_path / "store.db") as store,
        calling(store, [visit, forget]) as conversation,
    ):
        yield conversation


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


async def test_another_language_has_other_words(call: Conversation) -> None:
    """Where more than English is spoken, a question that is long enough will do."""
    state = call.state
    state.business = state.business.model_copy(update={"languages": ("es", "en")})
    call.hear(Role.AGENT, "¿Algo más?")
    call.hear(Role.CALLER, "Sí.")
    assert (await call.use("forget")).startswith("REFUSED: Not done yet.")
    call.hear(Role.AGENT, "Entonces se borra todo lo que recordamos de usted, ¿correcto?")
    call.hear(Role.CALLER, "Sí.")
    assert await call.use("forget") == "forgotten"
