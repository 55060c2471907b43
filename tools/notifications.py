"""Telling staff: at once where it is urgent, by the addresses that each of them has in the file."""

from __future__ import annotations

from thirdring.staff import concerned
from thirdring.state import CallState
from thirdring.store.notifications import Notice, NotificationQueue

__all__ = ["notice", "notify"]


def notice(state: CallState, *, title: str, body: str, urgent: bool, key: str) -> Notice:
    """Return what staff are told, for `add_notices` in the transaction of what it tells of.

    Args:
        key: What it tells of; of one call the same key tells nobody twice.
    """
    return Notice(
        key=key,
        business=state.business.slug,
        title=title,
        body=body,
        urgent=urgent,
        call_id=state.leg.call_id,
        created_at=state.clock.now(),
        targets=concerned(state.business, urgent=urgent),
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
