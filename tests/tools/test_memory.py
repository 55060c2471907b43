"""What is remembered of a caller, and forgotten at their wish."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.peers.tool_calls import FRIDAY_NOON, Conversation
from thirdring.calls import Role
from thirdring.settings import MemorySettings
from thirdring.store import Store
from thirdring.store.memory import CallerMemory
from tools.memory import forget_caller, remember_caller

NUMBER = "+12025550199"


TOOLS = [remember_caller, forget_caller]


async def known(store: Store) -> list[tuple[str, str]]:
    since = FRIDAY_NOON - timedelta(days=1)
    found = await CallerMemory(store, "riverside_clinic").recall(NUMBER, since=since)
    return [(each.fact, each.call_id) for each in found]


async def test_a_fact_is_remembered_with_its_call(call: Conversation, store: Store) -> None:
    """So that somebody can look up where it is from."""
    await call.use("remember_caller", fact="Prefers mornings.")
    assert await known(store) == [("Prefers mornings.", "call-1")]


async def test_the_caller_may_be_forgotten(call: Conversation, store: Store) -> None:
    """Once they have agreed; and nothing is remembered from then on."""
    await call.use("remember_caller", fact="Prefers mornings.")
    answer = await call.agreed("forget_caller")
    assert answer == "Everything is forgotten, and nothing will be remembered. Tell the caller so."
    refused = await call.use("remember_caller", fact="Prefers evenings.")
    assert refused.startswith("REFUSED: This caller wants nothing to be remembered.")
    assert await known(store) == []


async def test_nobody_is_forgotten_by_mistake(call: Conversation, store: Store) -> None:
    """ "Forget it" is no wish to be forgotten."""
    await call.use("remember_caller", fact="Prefers mornings.")
    call.hear(Role.AGENT, "Shall I book that?")
    call.hear(Role.CALLER, "Forget it.")
    assert (await call.use("forget_caller")).startswith("REFUSED: Not done yet.")
    assert len(await known(store)) == 1


async def test_nobody_is_forgotten_by_a_yes_to_something_else(
    call: Conversation, store: Store
) -> None:
    """In another language neither; in theirs the sentence is ours, too."""
    spanish = call.state.business.model_copy(update={"languages": ("es",)})
    call.state.business = spanish
    await call.use("remember_caller", fact="Prefiere las mañanas.")
    call.hear(Role.AGENT, "¿Quiere que le diga también a qué hora abrimos mañana por la mañana?")
    call.hear(Role.CALLER, "Sí.")
    refused = await call.use("forget_caller")
    assert "se borra todo lo que se recuerda de usted" in refused
    call.hear(Role.AGENT, "¿Quiere que le diga también a qué hora abrimos mañana por la mañana?")
    call.hear(Role.CALLER, "Sí.")
    assert (await call.use("forget_caller")).startswith("REFUSED: Not done yet.")
    assert len(await known(store)) == 1
    assert (await call.agreed("forget_caller")).startswith("Everything is forgotten")
    assert await known(store) == []


@pytest.mark.parametrize(
    "fact",
    [
        "Pays with 4111 1111 1111 1111.",
        "The card is four one one one, one one one one, one one one one, one one one one.",
        "Her social security number is 078-05-1120.",
        "CVV 123.",
        "Likes " + "very " * 50 + "early mornings.",
        "...",
    ],
)
async def test_some_things_are_never_remembered(
    call: Conversation, store: Store, fact: str
) -> None:
    """Numbers of cards and the like, novels, nothing at all."""
    assert (await call.use("remember_caller", fact=fact)).startswith("REFUSED: ")
    assert await known(store) == []


async def test_of_a_hidden_number_nothing_is_remembered(call: Conversation) -> None:
    """There is nobody to remember it of."""
    call.state.leg = call.state.leg.model_copy(update={"caller": None})
    answer = await call.use("remember_caller", fact="Prefers mornings.")
    assert answer.startswith("REFUSED: The caller's number is hidden")


async def test_a_business_may_want_no_memory(call: Conversation, store: Store) -> None:
    """Then nothing is kept, whatever the model wants."""
    off = MemorySettings(enabled=False)
    call.state.business = call.state.business.model_copy(update={"memory": off})
    answer = await call.use("remember_caller", fact="Prefers mornings.")
    assert answer == "REFUSED: Nothing is remembered of callers here."
    assert await known(store) == []


async def test_without_its_store_the_call_goes_on(call: Conversation, store: Store) -> None:
    """The model hears that it has not worked."""
    await store.close()
    answer = await call.use("remember_caller", fact="Prefers mornings.")
    assert answer.startswith("REFUSED: That cannot be done right now.")
