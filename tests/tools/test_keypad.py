"""Menus of the telephone: who speaks there, which keys may be pressed, when to stop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.peers.tool_calls import FRIDAY_NOON, Conversation
from thirdring.calls import Role
from thirdring.roles import Roles
from thirdring.store import Store
from thirdring.store.errands import Wish, add
from tools.far_end import WHO_IS_THERE, FarEnd, by_rules, far_end, keep_waiting
from tools.keypad import MOST_KEYS, press_keys

TOOLS = [press_keys, keep_waiting]
MENU = "For benefits, press one. For prior authorization, press two."


@dataclass
class Keys:
    """A keypad that notes what is pressed."""

    pressed: list[str] = field(default_factory=list)

    async def press(self, keys: str) -> None:
        """Note them."""
        self.pressed.append(keys)


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
async def call(call: Conversation, store: Store, keys: Keys) -> Conversation:
    call.state.keypad = keys
    call.state.roles = Roles(classifier=WHO_IS_THERE)
    details = {"member_id": "AC 4471 9023", "date_of_birth": "1984-03-09"}
    wish = Wish("riverside_clinic", "prior_auth", None, {**details}, "call-0", "k")
    call.state.errand = await store.write(lambda connection: add(connection, wish, now=FRIDAY_NOON))
    return call


@pytest.mark.parametrize(
    ("text", "who"),
    [
        (MENU, FarEnd.MENU),
        ("Please enter the member number, followed by the pound sign.", FarEnd.MENU),
        ("Please listen carefully as our menu options have changed.", FarEnd.MENU),
        ("All of our representatives are busy. To leave a callback number, press 3.", FarEnd.MENU),
        ("I'm sorry, I did not understand. Please try again.", FarEnd.MENU),
        ("Acme Health, Susan speaking.", FarEnd.HUMAN),
        ("Acme Health, this is Susan.", FarEnd.HUMAN),
        ("Please hold. Your call is important to us.", FarEnd.HOLD),
        ("All of our agents are assisting other callers.", FarEnd.HOLD),
        ("You are next in line. The estimated wait is five minutes.", FarEnd.HOLD),
        ("Thank you for holding, this is Susan, how can I help you?", FarEnd.HUMAN),
        ("Provider services, my name is Carl.", FarEnd.HUMAN),
        ("Can I have the member number, please?", FarEnd.HUMAN),
        ("Hello?", FarEnd.HUMAN),
        ("Please leave a message after the tone.", FarEnd.VOICEMAIL),
        ("You have reached the voicemail of provider services.", FarEnd.VOICEMAIL),
        ("Household goods.", FarEnd.UNKNOWN),
        ("", FarEnd.UNKNOWN),
    ],
)
def test_rules_tell_who_is_there(text: str, who: FarEnd) -> None:
    """Without any model, by what such recordings and people say."""
    assert by_rules(text) is who


async def test_keys_are_pressed_for_a_menu(call: Conversation, keys: Keys) -> None:
    """Spaces do not matter, and nothing is said afterwards: the tool returns nothing."""
    call.hear(Role.CALLER, MENU)
    assert await call.use("press_keys", keys="2") == ""
    call.hear(Role.CALLER, "Enter the member number followed by the pound sign.")
    assert await call.use("press_keys", keys="4471 9023#") == ""
    call.hear(Role.CALLER, "Enter the date of birth.")
    assert await call.use("press_keys", keys="03091984") == ""
    assert keys.pressed == ["2", "44719023#", "03091984"]


@pytest.mark.parametrize(
    ("said", "pressed", "reason"),
    [
        ("Hello, this is Susan, how can I help you?", "2", "no menu but a human"),
        ("Please leave a message after the tone.", "1", "no menu but a voicemail"),
        (MENU, "", "digits, * and #"),
        (MENU, "2w3", "digits, * and #"),
        (MENU, "1" * 25, "digits, * and #"),
        (MENU, "\u0662", "digits, * and #"),
        (MENU, "90210", "Nobody gave you this number"),
        (MENU, "123456789#", "Nobody gave you this number"),
    ],
)
async def test_other_keys_are_not_pressed(
    call: Conversation, keys: Keys, said: str, pressed: str, reason: str
) -> None:
    """Not into people's ears, not what is no key, and no number that is made up."""
    call.hear(Role.CALLER, said)
    answer = await call.use("press_keys", keys=pressed)
    assert answer.startswith("REFUSED: ")
    assert reason in answer
    assert keys.pressed == []


async def test_a_menu_that_comes_again_is_answered_twice_at_most(
    call: Conversation, keys: Keys
) -> None:
    """The third time other keys are asked for; those may be pressed."""
    for said in (MENU, f"Sorry. {MENU}"):
        call.hear(Role.CALLER, said)
        assert await call.use("press_keys", keys="2") == ""
        call.hear(Role.AGENT, "Two.")
    call.hear(Role.CALLER, MENU)
    assert "back to the same menu twice" in await call.use("press_keys", keys="2")
    assert await call.use("press_keys", keys="0") == ""
    assert keys.pressed == ["2", "2", "0"]


async def test_no_call_presses_keys_for_ever(call: Conversation, keys: Keys) -> None:
    """However the menus vary, their number is limited."""
    call.state.tool_calls = -1000
    number = 0
    while "Too many keys" not in (answer := await call.use("press_keys", keys=f"{number % 97}")):
        assert answer == ""
        number += 1
        call.hear(Role.AGENT, "Next.")
        call.hear(Role.CALLER, f"{'abcdefgh'[number % 8] * 40} {number}, press one.")
    assert len("".join(keys.pressed)) <= MOST_KEYS


async def test_without_a_keypad_the_model_is_told_to_speak(call: Conversation) -> None:
    """A browser call has no keys."""
    call.state.keypad = None
    call.hear(Role.CALLER, MENU)
    assert await call.use("press_keys", keys="2") == (
        "REFUSED: No keys can be pressed on this call. Say it in words."
    )


async def test_waiting_is_silent_and_uses_nothing_up(call: Conversation) -> None:
    """A queue of an hour announces itself more often than tools may be called."""
    call.hear(Role.CALLER, "Please hold. Your call is important to us.")
    for _ in range(40):
        assert await call.use("keep_waiting") == ""
    assert call.state.tool_calls == 0


async def test_nobody_waits_while_a_person_speaks(call: Conversation) -> None:
    """A model that takes them for a recording is told to answer."""
    call.hear(Role.CALLER, "Thank you for holding. This is Susan, how can I help you?")
    assert await call.use("keep_waiting") == "REFUSED: A person is speaking to you. Answer them."


# The classifier


@dataclass
class Chat:
    """A small chat server; `answer` is its answer, or a status."""

    answer: str | int = "menu"
    asked: list[dict[str, object]] = field(default_factory=list)

    async def complete(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        if isinstance(self.answer, int):
            return web.Response(status=self.answer)
        return web.Response(text=self.answer, content_type="application/json")


def message(content: str) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]})


@asynccontextmanager
async def serving(chat: Chat) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat.complete)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def test_a_small_model_may_be_asked(
    call: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets ten tokens at temperature 0, one question for each turn, and its word counts."""
    chat = Chat(message("Hold."))
    call.hear(Role.CALLER, "Tum ti tum.")
    async with serving(chat) as url:
        monkeypatch.setenv("THIRDRING_CLASSIFIER_URL", url)
        monkeypatch.setenv("THIRDRING_CLASSIFIER_MODEL", "small")
        assert await far_end(call.state) is FarEnd.HOLD
        assert await far_end(call.state) is FarEnd.HOLD
    (asked,) = chat.asked
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("small", 10, 0)


@pytest.mark.parametrize(
    "answer",
    [500, message("a banana"), message("menu or human"), "no json", "[]", message("")],
)
async def test_rules_stand_in_for_a_model_that_fails(
    call: Conversation, monkeypatch: pytest.MonkeyPatch, answer: str | int
) -> None:
    """An error, another word, two words or none: who is there is told all the same."""
    call.hear(Role.CALLER, MENU)
    async with serving(Chat(answer)) as url:
        monkeypatch.setenv("THIRDRING_CLASSIFIER_URL", url)
        assert await far_end(call.state) is FarEnd.MENU


async def test_rules_stand_in_for_a_model_that_is_not_there(
    call: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at its address."""
    monkeypatch.setenv("THIRDRING_CLASSIFIER_URL", "http://127.0.0.1:9/v1")
    call.hear(Role.CALLER, "Thank you for holding, how can I help?")
    assert await far_end(call.state) is FarEnd.HUMAN
