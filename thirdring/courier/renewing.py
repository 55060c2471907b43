"""Work that begins anew when the configuration has changed in what it is about."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

from thirdring.settings import Settings

__all__ = ["about_records", "renewed"]

logger = logging.getLogger(__name__)


def about_records(settings: Settings) -> object:
    """Return what of the settings a courier goes by: everything but the lines."""
    businesses = tuple(one.model_copy(update={"lines": ()}) for one in settings.businesses)
    return businesses, settings.allowed_receivers


async def renewed(
    work: Callable[[Settings], Coroutine[Any, Any, None]],
    settings: Settings,
    changes: AsyncIterator[Settings],
    about: Callable[[Settings], object] = about_records,
) -> None:
    """Run `work` by settings that change, until it ends or this is cancelled.

    It is cancelled and called again when what it is about is no longer the same.
    """
    working = asyncio.create_task(work(settings))
    changing = asyncio.ensure_future(anext(changes))
    try:
        while True:
            await asyncio.wait({working, changing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return
            changed, changing = changing.result(), asyncio.ensure_future(anext(changes))
            if about(changed) != about(settings):
                logger.info("begins anew with the configuration as it is now")
                await _ended(working)
                working = asyncio.create_task(work(changed))
            settings = changed
    finally:
        await _ended(changing)
        await _ended(working)


async def _ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    with suppress(asyncio.CancelledError):
        task.exception()
