"""Decisions of a payer: noted with its words, and never made up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.peers.tool_calls import FRIDAY_NOON, Conversation
from thirdring.calls import Role
from thirdring.outcome import OutcomeSheet
from thirdring.store import Store
from thirdring.store.errands import Wish, add, find
from tools.prior_authorizations import (
    PriorAuthorization,
    PriorAuthorizationRequest,
    note_decision,
)

TOOLS = [note_decision]


@pytest.fixture
def call(call: Conversation) -> Conversation:
    call.state.outcome = OutcomeSheet(PriorAuthorization, lambda _value: None)
    return call


def outcome(call: Conversation) -> PriorAuthorization:
    value = call.state.outcome.value
    assert isinstance(value, PriorAuthorization)
    return value


async def test_an_approval_is_noted_with_its_words(call: Conversation, store: Store) -> None:
    """Reference and name may come later; the errand is settled with all of it."""
    details = PriorAuthorizationRequest(payer="Acme Health").model_dump(mode="json")
    wish = Wish("riverside_clinic", "prior_auth", None, details, "call-0", "k")
    call.state.errand = await store.write(lambda connection: add(connection, wish, now=FRIDAY_NOON))
    call.hear(Role.CALLER, "This is Susan. Yes, that has been approved.")
    first = json.loads(
        await call.use("note_decision", status="approved", quote="that has been approved")
    )
    assert first["next"] == "Ask for their name and the reference number, and note it as well."
    call.hear(Role.CALLER, "It's P A four four seven one.")
    second = json.loads(
        await call.use(
            "note_decision",
            status="approved",
            quote="that has been approved",
            reference="PA 4471",
            spoken_to="Susan",
        )
    )
    assert second["next"].startswith("Thank them")
    noted = outcome(call)
    assert (noted.reference, noted.spoken_to) == ("PA4471", "Susan")
    assert noted.quote == "This is Susan. Yes, that has been approved."
    assert noted.missing() == ()
    done = await find(store, "riverside_clinic", call.state.errand.id)
    assert done is not None
    assert (done.state, (done.result or {})["reference"]) == ("approved", "PA4471")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("I'm sorry, it was not approved.", "denied"),
        ("It has been denied.", "denied"),
        ("It is still under review.", "pending"),
        ("We have received it and it is being processed.", "pending"),
        ("That was authorized last week.", "approved"),
        ("Is that all? It was approved this morning.", "approved"),
        ("It was denied. If you like, you can appeal.", "denied"),
        ("Still under review, not denied.", "pending"),
    ],
)
async def test_each_decision_is_taken_as_it_is_said(
    call: Conversation, said: str, status: str
) -> None:
    """In the payer's own words."""
    call.hear(Role.CALLER, said)
    answer = await call.use("note_decision", status=status, quote=said)
    assert json.loads(answer)["noted"] == status
    assert outcome(call).status == status


@pytest.mark.parametrize(
    ("since", "noted"),
    [
        ("Your reference is PA 4471. Claims may still be denied.", True),
        ("Sorry, one moment.", True),
        ("Oh, my mistake, that one was denied.", False),
        ("Actually, it has not been approved.", False),
    ],
)
async def test_a_decision_may_be_taken_back(call: Conversation, since: str, noted: bool) -> None:
    """The words that were corrected are worth nothing after that."""
    call.hear(Role.CALLER, "That has been approved.")
    call.hear(Role.CALLER, since)
    answer = await call.use("note_decision", status="approved", quote="that has been approved")
    assert answer.startswith("REFUSED: They have said something else since") is not noted
    assert (outcome(call).status == "approved") is noted


@pytest.mark.parametrize(
    ("said", "arguments", "reason"),
    [
        (
            "Hello?",
            {"status": "approved", "quote": "it is approved"},
            "Nobody has said these words",
        ),
        (
            "It was not approved.",
            {"status": "approved", "quote": "approved"},
            "do not say approved",
        ),
        (
            "It would be approved if you send the notes.",
            {"status": "approved", "quote": "it would be approved"},
            "do not say approved",
        ),
        (
            "It isn\u2019t approved.",
            {"status": "approved", "quote": "approved"},
            "do not say approved",
        ),
        ("Was it approved?", {"status": "approved", "quote": "approved"}, "do not say approved"),
        (
            "I can see whether it is approved.",
            {"status": "approved", "quote": "it is approved"},
            "do not say approved",
        ),
        ("It wasn't denied.", {"status": "denied", "quote": "denied"}, "do not say denied"),
        (
            "It isn't pending any more.",
            {"status": "pending", "quote": "pending"},
            "do not say pending",
        ),
        ("It is approved.", {"status": "denied", "quote": "It is approved"}, "do not say denied"),
        ("It is approved.", {"status": "paid", "quote": "It is approved"}, "one of approved"),
        (
            "It is approved.",
            {"status": "approved", "quote": "It is approved", "reference": "PA 4471"},
            "have not said this reference",
        ),
        (
            "It is approved.",
            {"status": "approved", "quote": "It is approved", "spoken_to": "Susan"},
            "have not said this name",
        ),
        (
            "It is denied.",
            {"status": "denied", "quote": "It is denied", "reason": "not necessary"},
            "Nobody has said these words",
        ),
        (
            "Your call is important to us. Requests that are approved are sent by mail.",
            {"status": "approved", "quote": "approved"},
            "Wait for a person",
        ),
    ],
)
async def test_nothing_is_noted_that_was_not_said(
    call: Conversation, said: str, arguments: dict[str, Any], reason: str
) -> None:
    """A model cannot make up a decision, a reference, a name or a reason."""
    call.hear(Role.CALLER, said)
    answer = await call.use("note_decision", **arguments)
    assert answer.startswith("REFUSED: ")
    assert reason in answer
    assert outcome(call) == PriorAuthorization()


def test_an_approval_without_a_number_is_not_complete() -> None:
    """The other decisions need none."""
    told = {"spoken_to": "Susan", "quote": "Yes."}
    assert PriorAuthorization(status="approved", **told).missing() == ("reference",)
    assert PriorAuthorization(status="pending", **told).missing() == ()
