"""Who is at the other end: a menu, a person, a queue, or a machine that takes messages.

Rules in code decide, or a small chat model by URL (`THIRDRING_CLASSIFIER_URL`), which the rules
stand in for when it does not answer in time or answers anything else.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final

import httpx
from livekit.agents import RunContext, StopResponse, function_tool

from thirdring.calls import Role
from thirdring.errors import ToolRefused
from thirdring.roles import Classifier
from thirdring.state import CallState
from tools.guard import guarded

__all__ = ["WHO_IS_THERE", "FarEnd", "by_rules", "far_end", "keep_waiting"]

logger = logging.getLogger(__name__)

_TRANSCRIPT_SECONDS = 1.5


class FarEnd(StrEnum):
    """Who was heard last."""

    MENU = "menu"
    HUMAN = "human"
    HOLD = "hold"
    VOICEMAIL = "voicemail"
    UNKNOWN = "unknown"


WHO_IS_THERE: Final = Classifier(
    question=(
        "Who is speaking on this telephone line? Answer with one word: menu (a recorded menu that "
        "asks for keys or words), human (a person), hold (music or an announcement while waiting), "
        "voicemail (a machine that takes messages)."
    ),
    answers=("menu", "human", "hold", "voicemail"),
)

_DIGIT = r"(?:\d|one|two|three|four|five|six|seven|eight|nine|zero|star|pound|hash)"
# In this order: an announcement of a queue may offer a key, and a person may mention one.
_RULES: Final[tuple[tuple[FarEnd, str], ...]] = (
    (
        FarEnd.VOICEMAIL,
        r"leave (?:us |me )?(?:a|your) (?:message|name)|(?:at|after) the (?:tone|beep)|voice ?mail"
        r"|mailbox|record your message",
    ),
    (
        FarEnd.MENU,
        rf"(?:press|dial|push|select|choose) (?:\w+ )?{_DIGIT}\b|main menu"
        r"|(?:say|enter) (?:or|the|your)"
        r"|following options|options have changed|listen carefully|to repeat (?:this|these|the)"
        rf"|option {_DIGIT}\b|followed by the (?:pound|hash|star)"
        r"|that is not a valid|invalid (?:entry|option)|please try again"
        r"|(?:did not|didn['\u2019]?t) (?:understand|recogni[sz]e|get (?:that|your))",
    ),
    (
        FarEnd.HUMAN,
        r"my name is|this is \w+(?: speaking|,|\.?$| from| with| in| how)|(?:^|, )\w+ speaking\b"
        r"|(?:how|what) (?:can|may) i"
        r"|who am i speaking|thank(?:s| you) for (?:holding|waiting)|can i (?:have|get)"
        r"|may i (?:have|get|ask)|let me (?:check|see|look|pull)"
        r"|i (?:see|have|can|will|would|am)\b|i'(?:m|ll|ve)\b",
    ),
    (
        FarEnd.HOLD,
        r"\b(?:hold|wait)\b|(?:stay|remain) on the line"
        r"|your call (?:is important|will be)"
        r"|next available|(?:all|our) (?:of our )?(?:agents|representatives|associates|lines)"
        r"|estimated wait|in the order|shortly|music",
    ),
    (FarEnd.HUMAN, r"^(?:hello|hi|good (?:morning|afternoon|evening)|yes|speaking)\b"),
)
_PATTERNS: Final = tuple((who, re.compile(rule, re.IGNORECASE)) for who, rule in _RULES)


def by_rules(text: str) -> FarEnd:
    """Return who says such a thing."""
    words = " ".join(text.split())
    return next((who for who, rule in _PATTERNS if rule.search(words)), FarEnd.UNKNOWN)


class _Ear:
    """Remembers what it was judged by last, so that one turn is judged once."""

    def __init__(self, environ: Mapping[str, str], client: httpx.AsyncClient) -> None:
        self._url = environ.get("THIRDRING_CLASSIFIER_URL", "").rstrip("/")
        self._model = environ.get("THIRDRING_CLASSIFIER_MODEL", "")
        self._key = environ.get("THIRDRING_CLASSIFIER_API_KEY", "")
        self._client = client
        self._judged: tuple[str, FarEnd] | None = None

    async def judge(self, text: str, classifier: Classifier | None) -> FarEnd:
        if self._judged is None or self._judged[0] != text:
            self._judged = (text, await self._answer(text, classifier))
        return self._judged[1]

    async def _answer(self, text: str, classifier: Classifier | None) -> FarEnd:
        if classifier is None or not self._url:
            return by_rules(text)
        try:
            answer = await self._ask(text, classifier)
        except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
            logger.warning("the classifier did not answer: %s", type(error).__name__)
            return by_rules(text)
        words = re.findall(r"[a-z]+", answer.lower())
        found = [word for word in words if word in classifier.answers]
        return FarEnd(found[0]) if len(set(found)) == 1 else by_rules(text)

    async def _ask(self, text: str, classifier: Classifier) -> str:
        response = await self._client.post(
            f"{self._url}/chat/completions",
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            json={
                "model": self._model,
                "messages": [
                    {"role": "system", "content": classifier.question},
                    {"role": "user", "content": text},
                ],
                "max_tokens": classifier.max_tokens,
                "temperature": classifier.temperature,
            },
            timeout=classifier.seconds,
        )
        response.raise_for_status()
        return str(response.json()["choices"][0]["message"]["content"])


@asynccontextmanager
async def _ear() -> AsyncIterator[_Ear]:
    async with httpx.AsyncClient() as client:
        yield _Ear(os.environ, client)


def heard(state: CallState) -> str:
    """Return what the other party said last; a queue says much before somebody comes."""
    turn = state.conversation.last(Role.CALLER)
    return "" if turn is None else turn.text


async def far_end(state: CallState) -> FarEnd:
    """Return who was heard last; unknown when nobody was."""
    await state.conversation.wait_until_understood(_TRANSCRIPT_SECONDS)
    text = heard(state)
    if not text:
        return FarEnd.UNKNOWN
    ear = await state.port(_Ear, _ear)
    return await ear.judge(text, state.roles.classifier)


@function_tool
@guarded
async def keep_waiting(ctx: RunContext[CallState]) -> str:
    """Say nothing and go on listening: on hold music, announcements, or while a menu still speaks.

    Never call it when a person has spoken to you.
    """
    state = ctx.userdata
    # Whoever waits does nothing: a long queue must not use up the calls of tools.
    state.tool_calls -= 1
    if await far_end(state) is FarEnd.HUMAN:
        raise ToolRefused("A person is speaking to you. Answer them.")
    raise StopResponse
