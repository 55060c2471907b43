"""Telling staff while a call goes on."""

from __future__ import annotations

import pytest

from tests.peers.staff import with_staff
from tests.peers.tool_calls import Conversation
from thirdring.store import Store
from thirdring.store.notifications import NotificationQueue
from tools.notifications import notify, notify_staff

TOOLS = [notify_staff]


@pytest.fixture
def call(call: Conversation) -> Conversation:
    with_staff(call.state)
    return call


async def test_what_is_urgent_goes_to_everybody(call: Conversation, store: Store) -> None:
    """At once, while the caller is on the line."""
    await call.use("notify_staff", text="A pipe has burst at 12 Oak Street.", urgent=True)
    found = await NotificationQueue(store).of_call("call-1")
    assert [(each.target.recipient, each.title) for each in found] == [
        ("dana", "Urgent: Riverside Clinic"),
        ("lee", "Urgent: Riverside Clinic"),
    ]


async def test_nothing_is_promised_where_nobody_can_be_told(call: Conversation) -> None:
    """Lee wants urgent matters only, and without Dana there is nobody else."""
    staff = {"lee": call.state.business.staff["lee"]}
    call.state.business = call.state.business.model_copy(update={"staff": staff})
    answer = await call.use("notify_staff", text="Somebody asks for the way.")
    assert answer == "REFUSED: Nobody can be told right now. Offer to take a message instead."


async def test_without_its_store_nothing_is_promised(call: Conversation, store: Store) -> None:
    """The model hears that it has not worked."""
    await store.close()
    answer = await call.use("notify_staff", text="A pipe has burst.", urgent=True)
    assert answer == "REFUSED: Nobody can be told right now. Tell the caller so."


async def test_other_tools_tell_staff_once(call: Conversation, store: Store) -> None:
    """By what they tell of; they learn how many people that are."""
    for _ in range(2):
        told = await notify(call.state, title="Job", body="A tap.", urgent=True, key="job-1")
        assert told == 2
    assert len(await NotificationQueue(store).of_call("call-1")) == 2
