"""What tools have done, by the tool call that asked: the same call never does it twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from thirdring.store.store import Connection, Store, to_text

__all__ = ["once", "sweep_effects"]


async def once(
    store: Store,
    *,
    key: str,
    business: str,
    call_id: str,
    tool: str,
    now: datetime,
    work: Callable[[Connection], str],
) -> str:
    """Return what `work` returned for this key, having run it to its end at most once.

    Args:
        work: Runs in the transaction that notes the key: both are durable, or neither. What it
            raises leaves nothing behind, so that the same call may ask again.

    Raises:
        StoreError: The store cannot be used.
    """

    def done(connection: Connection) -> str:
        connection.lock(f"effect {key}")
        known = connection.execute("SELECT result FROM effects WHERE key = ?", (key,)).fetchone()
        if known is not None:
            return str(known["result"])
        result = work(connection)
        connection.execute(
            "INSERT INTO effects (key, business, call_id, tool, result, done_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key, business, call_id, tool, result, to_text(now)),
        )
        return result

    return await store.write(done)


async def sweep_effects(store: Store, business: str, before: datetime) -> int:
    """Delete what was done before a time, when no call goes on that could ask again; return how
    much it was.
    """
    return await store.write(
        lambda connection: (
            connection.execute(
                "DELETE FROM effects WHERE business = ? AND done_at < ?",
                (business, to_text(before)),
            ).rowcount
        )
    )
