"""Messages and requests to be called back, in both stores."""

from __future__ import annotations

from dataclasses import replace

from tests.samples import START, at
from thirdring.store import Store
from thirdring.store.callbacks import CallbackBook, CallbackRequest, add_callback
from thirdring.store.messages import Message, MessageBook, add_message

MESSAGE = Message(
    business="riverside_clinic",
    key="call-1:tool-1",
    body="The parcel has come.",
    for_whom="Dana",
    from_name="Ann Smith",
    from_number="+12025550199",
    urgent=True,
    call_id="call-1",
    taken_at=START,
)
CALLBACK = CallbackRequest(
    business="riverside_clinic",
    key="call-1:tool-2",
    number="+12025550199",
    name="Ann Smith",
    wanted="tomorrow at two",
    wanted_at=at(3600),
    reason=None,
    call_id="call-1",
    asked_at=START,
)


async def take(store: Store, message: Message) -> str:
    return await store.write(lambda connection: add_message(connection, message))


async def ask(store: Store, request: CallbackRequest) -> str:
    return await store.write(lambda connection: add_callback(connection, request))


async def test_a_message_comes_back_as_it_was_taken(store: Store) -> None:
    """With everything that was said of it."""
    await take(store, MESSAGE)
    assert await MessageBook(store).of_call("call-1") == [MESSAGE]


async def test_the_same_message_is_taken_once(store: Store) -> None:
    """By the same tool call, or by another one of the same call."""
    first = await take(store, MESSAGE)
    again = await take(store, replace(MESSAGE, key="call-1:tool-9"))
    assert (first, len(await MessageBook(store).of_call("call-1"))) == (again, 1)


async def test_the_newest_messages_come_first(store: Store) -> None:
    """Of all businesses, or of one."""
    other = replace(MESSAGE, business="other", call_id="call-2", key="2", taken_at=at(5))
    await take(store, MESSAGE)
    await take(store, other)
    book = MessageBook(store)
    assert await book.newest(limit=9) == [other, MESSAGE]
    assert await book.newest(limit=9, business="riverside_clinic") == [MESSAGE]
    assert await book.newest(limit=9, since=at(1)) == [other]


async def test_a_callback_comes_back_as_it_was_noted(store: Store) -> None:
    """By its call and by its number."""
    await ask(store, CALLBACK)
    book = CallbackBook(store)
    assert await book.of_call("call-1") == [CALLBACK]
    assert await book.of_number("riverside_clinic", "+12025550199") == [CALLBACK]


async def test_another_time_takes_the_place_of_the_first(store: Store) -> None:
    """A caller who changes their mind is called back once."""
    await ask(store, CALLBACK)
    changed = replace(CALLBACK, key="call-1:tool-3", wanted="on Friday", wanted_at=None)
    await ask(store, changed)
    assert await CallbackBook(store).of_call("call-1") == [changed]
