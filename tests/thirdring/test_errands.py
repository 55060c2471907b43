"""Which errand a call is for, who speaks first on it, and what they know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.samples import at, business, opened
from thirdring.errands import errand_facts, errand_of, first_name
from thirdring.errors import LegError, StoreError
from thirdring.metadata import Metadata
from thirdring.store import Store
from thirdring.store.errands import Errand, Wish, add, settle
from thirdring.store.sqlite import SqliteStore
from thirdring.workflow import Workflow, discover

WORKFLOWS = discover()
CONCIERGE, CLINIC = WORKFLOWS["concierge"], WORKFLOWS["patient_questions"]
PRIOR_AUTH = WORKFLOWS["prior_auth"]
LEG = opened().leg
WISH = Wish(
    business="riverside_clinic",
    kind="concierge",
    number=LEG.caller,
    details={"restaurant": "Bella Vista", "party_size": 4, "preferences": ""},
    call_id="c1",
    key="k1",
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with SqliteStore(tmp_path / "store.db") as opened_store:
        yield opened_store


async def added(store: Store, wish: Wish = WISH) -> Errand:
    return await store.write(lambda connection: add(connection, wish, now=at(0)))


async def test_a_dispatch_names_its_errand(store: Store) -> None:
    """Its agent speaks first; without an errand it is the workflow's first one."""
    errand = await added(store, replace(WISH, number=None))
    named = Metadata(errand=errand.id)
    assert await errand_of(store, business(), CONCIERGE, LEG, named) == errand
    assert first_name(CONCIERGE, errand) == "reservation"
    assert first_name(CONCIERGE, None) == "main"
    assert first_name(PRIOR_AUTH, errand) == "main"


@pytest.mark.parametrize("workflow", [CLINIC, PRIOR_AUTH], ids=lambda each: each.name)
async def test_an_errand_of_another_kind_is_refused(store: Store, workflow: Workflow) -> None:
    """A dispatch that names it is wrong, as is one that names none that is there."""
    await added(store)
    for played, name in ((workflow, "E-1001"), (CONCIERGE, "E-1002")):
        with pytest.raises(LegError, match=r"metadata\.errand"):
            await errand_of(store, business(), played, LEG, Metadata(errand=name))


async def test_who_calls_back_calls_about_the_errand(store: Store) -> None:
    """From its number, while it is open; somebody else does not."""
    errand = await added(store)
    stranger = LEG.model_copy(update={"caller": "+12025550198"})
    hidden = LEG.model_copy(update={"caller": None})
    assert await errand_of(store, business(), CONCIERGE, LEG, Metadata()) == errand
    assert await errand_of(store, business(), CONCIERGE, stranger, Metadata()) is None
    assert await errand_of(store, business(), CONCIERGE, hidden, Metadata()) is None
    await settle(store, errand, state="confirmed", result={}, now=at(1))
    assert await errand_of(store, business(), CONCIERGE, LEG, Metadata()) is None


async def test_a_caller_is_served_while_the_store_is_away(tmp_path: Path) -> None:
    """Like anybody who does not call back; a call that is made for an errand is not made."""
    (tmp_path / "store.db").write_text("This is no database, and long enough to be told from one.")
    store = SqliteStore(tmp_path / "store.db")
    assert await errand_of(store, business(), CONCIERGE, LEG, Metadata()) is None
    with pytest.raises(StoreError):
        await errand_of(store, business(), CONCIERGE, LEG, Metadata(errand="E-1001"))


async def test_patient_data_wait_for_nobody_who_calls_in(store: Store) -> None:
    """A number can be forged: a payer that calls back is told nothing of a patient."""
    await added(store, replace(WISH, kind="prior_auth"))
    assert await errand_of(store, business(), PRIOR_AUTH, LEG, Metadata()) is None


async def test_an_errand_tells_its_fields(store: Store) -> None:
    """What it does not say the business may, and nobody makes it up."""
    errand = await added(store)
    known = business().model_copy(update={"facts": {"preferences": "by the window"}})
    facts = errand_facts(CONCIERGE, known, errand)
    assert (facts["restaurant"], facts["party_size"]) == ("Bella Vista", "4")
    assert facts["preferences"] == "by the window"
    assert facts["guest_name"] == "not known"
    assert errand_facts(CLINIC, known, None) == {}
