"""No effect without the caller's yes to what they have heard, whatever the model says.

What was said is the proof: the agent's words must hold every critical value, and the caller's next
words must agree. Nothing else is kept, so that nothing else can be talked into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from livekit.agents import RunContext

from thirdring.calls import Role, Turn
from thirdring.errors import ToolRefused
from thirdring.state import CallState
from tools.agreement import agrees, is_listening
from tools.plain_words import listed_words, plain_words
from tools.read_back import (
    Critical,
    Email,
    Moment,
    Name,
    Phone,
    Words,
    leaves_a_choice,
    said,
    says_another,
    spoken,
)

__all__ = ["Critical", "Email", "Moment", "Name", "Phone", "Words", "release", "require_confirmed"]

_TRANSCRIPT_SECONDS = 1.5
"""How long the transcript of a "yes" may come after the tool call that it led to."""

_OVERLAP = timedelta(seconds=1.5)
"""How long before the end of a question it may be answered, as over "is that right?"."""

_MOST = 0.6
_FEWEST = 4
_SHORTEST = 4

_ENGLISH_FROM = 2
_ENGLISH = frozenset(
    listed_words("the is that this you your would what anything else for right are can shall")
)


@dataclass(frozen=True)
class _Exchange:
    """What the agent has said since the caller's words before, and what they answered."""

    asked: tuple[Turn, ...]
    answer: tuple[Turn, ...]

    @property
    def id(self) -> str:
        """Stays the same when they say yes once more."""
        return self.answer[0].id

    @property
    def question(self) -> str:
        return _text(self.asked)

    @property
    def was_heard(self) -> bool:
        """Whether they answered when the question had been said; of one that they interrupted,
        no more is known than they heard.
        """
        asked = self.asked[-1]
        return asked.interrupted or self.answer[-1].ended_at >= asked.ended_at - _OVERLAP


def _text(turns: Sequence[Turn]) -> str:
    return " ".join(turn.text for turn in turns)


async def require_confirmed(
    ctx: RunContext[CallState],
    read_back: str | Sequence[str],
    *critical: Critical,
    effect: str | None = None,
) -> None:
    """Return when the caller has heard every value and agreed; say what to read back otherwise.

    Args:
        critical: Without any, the agent's words must have most of the words of `read_back`.
        read_back: A sentence that holds them all, as in `an appointment on Tuesday, November 24 at
            9 AM for Jane Doe`; a value that is not in it is added. Several are the same in several
            languages (see `tools.wordings`).
        effect: What the effect is known by where it is done once; by default the tool call.

    Raises:
        ToolRefused: They have not agreed yet; nothing may be done.
    """
    state, call = ctx.userdata, ctx.function_call
    await state.conversation.wait_until_understood(_TRANSCRIPT_SECONDS)
    wordings = (read_back,) if isinstance(read_back, str) else tuple(read_back)
    complete = _complete(state, " / ".join(wordings), critical)
    exchange = _last_exchange(state.conversation.turns)
    if (
        state.conversation.understood.is_set()
        and exchange is not None
        and _is_agreed(ctx, exchange, wordings, critical)
    ):
        _use(ctx, exchange, complete, effect or call.call_id)
        return
    state.read_backs[call.name] = frozenset(turn.id for turn in state.conversation.turns)
    raise ToolRefused(
        f"Not done yet. Read this back and ask whether it is right: {complete}. When they agree,"
        f" call {call.name} again with the same arguments."
    )


def release(state: CallState, tool_call: str) -> None:
    """Let an agreement be used again: what it was used for was not done."""
    for use in [use for use, (_, by) in state.agreements.items() if by == tool_call]:
        del state.agreements[use]


def _use(ctx: RunContext[CallState], exchange: _Exchange, read_back: str, effect: str) -> None:
    """Let one yes lead to one effect of a tool at most.

    Without an `await` since it was looked at: tools run side by side.
    """
    call = ctx.function_call
    used = ctx.userdata.agreements.setdefault((exchange.id, call.name), (effect, call.call_id))
    if used[0] != effect:
        raise ToolRefused(
            f"{call.name} was done when the caller agreed, and nothing is done twice. Only if they"
            f" want another, read this back and ask whether it is right: {read_back}."
        )


def _is_agreed(
    ctx: RunContext[CallState],
    exchange: _Exchange,
    wordings: Sequence[str],
    critical: Sequence[Critical],
) -> bool:
    state, asked = ctx.userdata, exchange.question
    if not exchange.was_heard or not agrees(_text(exchange.answer), asked):
        return False
    if not _says_all(state, asked, critical):
        return False
    read_back, answer = " ".join(wordings), _text(exchange.answer)
    if critical and leaves_a_choice(asked, read_back):
        return False
    moments = [value for value in critical if isinstance(value, Moment)]
    if moments and (
        says_another(moments, asked, read_back)
        or says_another(moments, answer, read_back, unsure=True)
    ):
        return False
    # A name is in many questions, such as whether it is theirs.
    if all(isinstance(value, Name) for value in critical) or _is_used(ctx, exchange):
        return _is_about(ctx, exchange, wordings)
    return True


def _is_used(ctx: RunContext[CallState], exchange: _Exchange) -> bool:
    """Return whether their yes has led to the effect of another tool already."""
    return any(
        answer == exchange.id and tool != ctx.function_call.name
        for answer, tool in ctx.userdata.agreements
    )


def _is_about(ctx: RunContext[CallState], exchange: _Exchange, wordings: Sequence[str]) -> bool:
    """Return whether a question was about what is to be done: most words of one wording are in it.

    What is written in one language only is said in others in words that cannot be known: there, it
    has to say as much, after the agent was told to. Numbers are the same in each.
    """
    heard = "".join(plain_words(exchange.question))
    # "One", "first" and "una" are mostly no numbers.
    numbers = [word for word in plain_words(wordings[0]) if word.isdigit() and word != "1"]
    if not all(number in heard for number in numbers):
        return False
    words = _weighty(exchange.question)
    wanted = [_weighty(wording) for wording in wordings]
    if any(each and len(each & words) >= _MOST * len(each) for each in wanted):
        return True
    return (
        len(wordings) == 1
        and any(not tag.startswith("en") for tag in ctx.userdata.business.languages)
        and len(_ENGLISH.intersection(plain_words(exchange.question))) < _ENGLISH_FROM
        and len(words) >= max(_FEWEST, len(wanted[0]) / 2)
        and _was_told_to(ctx, exchange)
    )


def _was_told_to(ctx: RunContext[CallState], exchange: _Exchange) -> bool:
    """Return whether the question came after a refusal that said what to read back."""
    before = ctx.userdata.read_backs.get(ctx.function_call.name)
    return before is not None and not before.issuperset(turn.id for turn in exchange.asked)


def _says_all(state: CallState, text: str, critical: Sequence[Critical]) -> bool:
    return all(_says(state, text, value) for value in critical)


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


def _last_exchange(turns: Sequence[Turn]) -> _Exchange | None:
    """Return what the caller answered last, and to what; sounds of listening are no words."""
    # What an interrupted agent had said may be written down after the words that interrupted it.
    said_turns = [
        turn
        for turn in sorted(turns, key=lambda turn: turn.started_at)
        if turn.role is Role.AGENT or not is_listening(turn.text)
    ]
    _popped(said_turns, Role.AGENT)  # said after they had answered, as "one moment"
    answer = _popped(said_turns, Role.CALLER)
    asked = _popped(said_turns, Role.AGENT)
    return _Exchange(asked, answer) if asked and answer else None


def _popped(turns: list[Turn], role: Role) -> tuple[Turn, ...]:
    """Remove what this one said in a row at the end, and return it."""
    start = len(turns)
    while start and turns[start - 1].role is role:
        start -= 1
    last = tuple(turns[start:])
    del turns[start:]
    return last
