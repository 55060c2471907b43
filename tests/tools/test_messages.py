"""Messages that callers leave, and who is told of them."""

from __future__ import annotations

import json

import pytest

from tests.peers.staff import DANA, with_staff
from tests.peers.tool_calls import FRIDAY_NOON, Conversation
from thirdring.calls import Role
from thirdring.store import Store
from thirdring.store.messages import Message, MessageBook
from thirdring.store.notifications import NotificationQueue
from tools.messages import take_message

TOOLS = [take_message]


@pytest.fixture
def call(call: Conversation) -> Conversation:
    with_staff(call.state)
    return call


async def told(store: Store) -> list[tuple[str, str, bool]]:
    found = await NotificationQueue(store).of_call("call-1")
    return [(each.target.recipient, each.title, each.urgent) for each in found]


async def test_a_message_is_kept_with_all_that_was_said(call: Conversation, store: Store) -> None:
    """Who it is from, for whom, and where to reach them."""
    answer = await call.agreed(
        "take_message",
        text="The parcel has come.",
        for_whom="Dana",
        caller_name="Ann Smith",
        phone="202 555 0111",
    )
    assert "Tell the caller that it will be passed on" in json.loads(answer)["text"]
    (message,) = await MessageBook(store).of_call("call-1")
    assert message == Message(
        business="riverside_clinic",
        key=message.key,
        body="The parcel has come.",
        for_whom="Dana",
        from_name="Ann Smith",
        from_number="+12025550111",
        urgent=False,
        call_id="call-1",
        taken_at=FRIDAY_NOON,
    )


async def test_the_number_of_the_call_is_taken_when_no_other_is_said(
    call: Conversation, store: Store
) -> None:
    """Nobody has to spell what the phone shows."""
    await call.agreed("take_message", text="Please open the gate.")
    (message,) = await MessageBook(store).of_call("call-1")
    assert message.from_number == "+12025550199"


async def test_the_numbers_of_a_message_must_have_been_heard(
    call: Conversation, store: Store
) -> None:
    """Other words may be said in other ways; a code has one."""
    call.hear(Role.AGENT, "A message: the code of the gate is four seven one one, is that right?")
    call.hear(Role.CALLER, "Yes.")
    other = await call.use("take_message", text="The code of the gate is 4712.")
    assert other.startswith("REFUSED: Not done yet.")
    await call.use("take_message", text="The code of the gate is 4711.")
    (message,) = await MessageBook(store).of_call("call-1")
    assert message.body == "The code of the gate is 4711."


async def test_nothing_is_kept_before_the_caller_has_agreed(
    call: Conversation, store: Store
) -> None:
    """Whatever the model says."""
    call.hear(Role.AGENT, "I will pass that on.")
    call.hear(Role.CALLER, "Wait, the other number.")
    answer = await call.use("take_message", text="Call me.", phone="+12025550111")
    assert answer == (
        "REFUSED: Not done yet. Read this back and ask whether it is right: a message: Call me, "
        "2 0 2, 5 5 5, 0 1 1 1. When they agree, call take_message again with the same arguments."
    )
    assert await MessageBook(store).of_call("call-1") == []
    assert await told(store) == []


async def test_a_message_in_another_language_is_read_back_in_it(
    call: Conversation, store: Store
) -> None:
    """A yes to some other question, however long, takes none."""
    call.state.business = call.state.business.model_copy(update={"languages": ("es", "en")})
    wish = {"text": "El paquete ha llegado esta tarde."}
    call.hear(Role.AGENT, "¿Quiere que le diga también a qué hora abrimos mañana por la mañana?")
    call.hear(Role.CALLER, "Sí.")
    assert (await call.use("take_message", **wish)).startswith("REFUSED: Not done yet.")
    call.hear(Role.AGENT, "Paso este recado: el paquete ha llegado esta tarde. ¿De acuerdo?")
    call.hear(Role.CALLER, "Sí.")
    await call.use("take_message", **wish)
    assert len(await MessageBook(store).of_call("call-1")) == 1


async def test_staff_are_told_in_the_same_moment(call: Conversation, store: Store) -> None:
    """Those who want urgent matters only hear nothing of it."""
    await call.agreed("take_message", text="The parcel has come.")
    assert await told(store) == [("dana", "Message", False)]


async def test_everybody_is_told_of_what_cannot_wait(call: Conversation, store: Store) -> None:
    """Also those who want to hear of nothing else."""
    await call.agreed("take_message", text="The cellar is under water.", urgent=True)
    assert await told(store) == [
        ("dana", "Urgent: Message", True),
        ("lee", "Urgent: Message", True),
    ]


async def test_only_those_are_told_whom_it_is_for(call: Conversation, store: Store) -> None:
    """When they are of the staff."""
    await call.agreed("take_message", text="Call the plumber.", for_whom="Lee", urgent=True)
    assert await told(store) == [("lee", "Urgent: Message for Lee", True)]


@pytest.mark.parametrize(
    ("for_whom", "told_to"),
    [("Dana Price", {"dana price"}), ("dana", {"dana price"}), ("Price", {"dana price"}),
     ("Dan", {"dana price", "lee novak"}), ("the boss", {"dana price", "lee novak"})],
)  # fmt: skip
async def test_a_part_of_a_name_is_enough(
    call: Conversation, store: Store, for_whom: str, told_to: set[str]
) -> None:
    """Whoever is meant by nobody's name is told by everybody."""
    business = call.state.business
    staff = {
        name: member.model_copy(update={"name": name, "urgent_only": False})
        for name, member in zip(("dana price", "lee novak"), business.staff.values(), strict=True)
    }
    call.state.business = business.model_copy(update={"staff": staff})
    await call.agreed("take_message", text="The parcel has come.", for_whom=for_whom)
    assert {recipient for recipient, _, _ in await told(store)} == told_to


async def test_the_notice_says_who_called_and_when(call: Conversation, store: Store) -> None:
    """It may come late."""
    await call.agreed("take_message", text="The parcel has come.", caller_name="Ann Smith")
    (found,) = await NotificationQueue(store).of_call("call-1")
    assert found.target == DANA
    assert found.body == (
        "The parcel has come.\nFrom Ann Smith, +12025550199.\n"
        "Call of Friday, November 20, 2026, 12:10 PM, from +12025550199."
    )


async def test_asked_twice_it_is_taken_and_told_once(call: Conversation, store: Store) -> None:
    """By the same tool call, and by another one with the same words."""
    answers = []
    for tool_call in ("tool-1", "tool-1", "tool-2"):
        call.hear(Role.CALLER, "Tell them that the parcel has come.")
        answers.append(await call.agreed("take_message", tool_call, text="The parcel has come."))
    assert len({json.loads(answer)["message_id"] for answer in answers}) == 1
    assert len(await MessageBook(store).of_call("call-1")) == 1
    assert len(await told(store)) == 1


async def test_a_caller_cannot_ring_the_staff_all_evening(call: Conversation, store: Store) -> None:
    """After five notices of one call no more are sent, and nothing more is kept."""
    answers = [await call.agreed("take_message", text=f"Message {n}.") for n in range(6)]
    assert [answer.startswith("REFUSED") for answer in answers] == [False] * 5 + [True]
    assert len(await MessageBook(store).of_call("call-1")) == 5


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"text": " \n "}, "There are no words in the message."),
        ({"text": "x" * 1001}, "At most 1000 characters for the message"),
        ({"text": "Charge 4111 1111 1111 1111."}, "Numbers of cards"),
        ({"text": "Call.", "phone": "555"}, "That phone number is not complete."),
        ({"text": "Call.", "caller_name": "12345"}, "The name is missing."),
        ({"text": "Call.", "caller_name": "4111111111111111 A"}, "Numbers of cards"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    call: Conversation, store: Store, arguments: dict[str, str], reason: str
) -> None:
    """With a reason that tells the model what to do."""
    assert (await call.agreed("take_message", **arguments)).startswith(f"REFUSED: {reason}")
    assert await MessageBook(store).of_call("call-1") == []


async def test_without_its_store_nothing_is_promised(call: Conversation, store: Store) -> None:
    """The model hears that it has not worked."""
    await store.close()
    answer = await call.agreed("take_message", text="The parcel has come.")
    assert answer == (
        "REFUSED: The message cannot be taken right now. Tell the caller so, and ask them to call "
        "again later."
    )
