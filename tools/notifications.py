"""Telling staff: at once where it is urgent, by the addresses that each of them has in the file."""

from __future__ import annotations

from livekit.agents import RunContext, function_tool

from thirdring.errors import ToolRefused
from thirdring.staff import concerned, signed
from thirdring.state import CallState
from thirdring.store import Connection
from thirdring.store.notifications import Notice, NotificationQueue
from tools.given import words_given
from tools.guard import effect_key, guarded
from tools.keeping import keep, tell
from tools.plain_words import plain_words

__all__ = ["notice", "notify", "notify_staff"]

LONGEST_TEXT = 500


@function_tool
@guarded(effect=True)
async def notify_staff(
    ctx: RunContext[CallState],
    text: str,
    *,
    urgent: bool = False,
) -> str:
    """Tell the staff something while the call goes on, such as an emergency.

    Args:
        text: What they must know to act, in one or two sentences.
        urgent: It cannot wait until they look at their messages.
    """
    state = ctx.userdata
    body = words_given(text, "the text", longest=LONGEST_TEXT)
    told = notice(
        state,
        title=f"{'Urgent: ' if urgent else ''}{state.business.name}",
        body=body,
        urgent=urgent,
        key=effect_key(ctx),
    )
    if not told.targets:
        raise ToolRefused("Nobody can be told right now. Offer to take a message instead.")

    def work(connection: Connection) -> str:
        tell(connection, told)
        return "The staff are being told. Nobody has answered yet: promise nothing for them."

    return await keep(ctx, work, sorry="Nobody can be told right now. Tell the caller so.")


def notice(
    state: CallState,
    *,
    title: str,
    body: str,
    urgent: bool,
    key: str,
    for_whom: str | None = None,
) -> Notice:
    """Return what staff are told, for the transaction of what it tells of.

    Args:
        key: What it tells of; of one call the same key tells nobody twice.
        for_whom: Only they are told, when the staff has somebody of that name who wants to be.
    """
    targets = concerned(state.business, urgent=urgent)
    wanted = frozenset(plain_words(for_whom or ""))
    named = tuple(
        target for target in targets if wanted and wanted <= {*plain_words(target.recipient)}
    )
    now = state.clock.now()
    return Notice(
        key=key,
        business=state.business.slug,
        title=title,
        body=signed(body, state.business, state.leg.caller, now),
        urgent=urgent,
        call_id=state.leg.call_id,
        created_at=now,
        targets=named or targets,
    )


async def notify(state: CallState, *, title: str, body: str, urgent: bool, key: str) -> int:
    """Have the courier tell staff; return how many of them.

    Args:
        key: What it tells of; of one call the same key tells nobody twice.

    Raises:
        StoreError: Nobody will be told.
    """
    told = notice(state, title=title, body=body, urgent=urgent, key=key)
    if told.targets:
        await NotificationQueue(state.store).add(told)
    return len({target.recipient for target in told.targets})
