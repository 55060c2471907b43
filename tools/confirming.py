"""No effect without the caller's yes to what they have heard, whatever the model says.

What was said is the proof: the agent's words must hold every critical value, and the caller's next
words must agree. Nothing else is kept, so that nothing else can be talked into it.
"""

from __future__ import annotations

from collections.abc import Sequence

from livekit.agents import RunContext

from thirdring.calls import Role, Turn
from thirdring.errors import ToolRefused
from thirdring.state import CallState
from tools.agreement import agrees, is_listening
from tools.plain_words import plain_words
from tools.read_back import Critical, Email, Moment, Name, Phone, Words, said, spoken

__all__ = ["Critical", "Email", "Moment", "Name", "Phone", "Words", "require_confirmed"]

_TRANSCRIPT_SECONDS = 1.5
"""How long the transcript of a "yes" may come after the tool call that it led to."""

_MOST = 0.6
_FEWEST = 4
_SHORTEST = 4


async def require_confirmed(
    ctx: RunContext[CallState], read_back: str, *critical: Critical
) -> None:
    """Return when the caller has heard every value and agreed; say what to read back otherwise.

    Args:
        critical: Without any, the agent's words must have most of the words of `read_back`.
        read_back: A sentence that holds them all, as in `an appointment on Tuesday, November 24 at
            9 AM for Jane Doe`; a value that is not in it is added.

    Raises:
        ToolRefused: They have not agreed yet; nothing may be done.
    """
    state = ctx.userdata
    await state.conversation.wait_until_understood(_TRANSCRIPT_SECONDS)
    turns = _question_and_answer(state.conversation.turns)
    if state.conversation.understood.is_set() and _is_agreed(state, turns, read_back, critical):
        return
    raise ToolRefused(
        f"Not done yet. Read this back and ask whether it is right: "
        f"{_complete(state, read_back, critical)}. When they agree, call "
        f"{ctx.function_call.name} again with the same arguments."
    )


def _is_agreed(
    state: CallState, turns: tuple[str, str], read_back: str, critical: Sequence[Critical]
) -> bool:
    asked, answer = turns
    if not asked or not agrees(answer, asked):
        return False
    return _says_all(state, asked, critical) if critical else _is_about(state, asked, read_back)


def _says_all(state: CallState, text: str, critical: Sequence[Critical]) -> bool:
    return all(_says(state, text, value) for value in critical)


def _is_about(state: CallState, asked: str, read_back: str) -> bool:
    """Return whether a question was about something that has no critical value.

    Most of its words are in it; who speaks another language at least says as much.
    """
    wanted, words = _weighty(read_back), _weighty(asked)
    if any(not tag.startswith("en") for tag in state.business.languages):
        return len(words) >= max(_FEWEST, len(wanted) / 2) or _has_most(words, wanted)
    return _has_most(words, wanted)


def _has_most(words: set[str], wanted: set[str]) -> bool:
    return len(wanted & words) >= _MOST * len(wanted)


def _weighty(text: str) -> set[str]:
    return {word for word in plain_words(text) if len(word) >= _SHORTEST or word.isdigit()}


def _says(state: CallState, text: str, value: Critical) -> bool:
    today = state.clock.now().astimezone(state.business.time_zone).date()
    return said(value, text, home=state.line.number, today=today)


def _complete(state: CallState, read_back: str, critical: Sequence[Critical]) -> str:
    text = read_back.strip().rstrip(".?!")
    for value in critical:
        if not _says(state, text, value):
            text = f"{text}, {spoken(value, home=state.line.number)}"
    return text


def _question_and_answer(turns: Sequence[Turn]) -> tuple[str, str]:
    """Return what the caller said last, and before it what the agent had said since their words
    before; sounds of listening are no words.
    """
    # What an interrupted agent had said may be written down after the words that interrupted it.
    spoken_turns = [
        turn
        for turn in sorted(turns, key=lambda turn: turn.started_at)
        if turn.role is Role.AGENT or not is_listening(turn.text)
    ]
    while spoken_turns and spoken_turns[-1].role is Role.AGENT:
        spoken_turns.pop()  # said after they had answered, as "one moment"
    answer: list[str] = []
    while spoken_turns and spoken_turns[-1].role is Role.CALLER:
        answer.insert(0, spoken_turns.pop().text)
    asked: list[str] = []
    while spoken_turns and spoken_turns[-1].role is Role.AGENT:
        asked.insert(0, spoken_turns.pop().text)
    return " ".join(asked), " ".join(answer)
