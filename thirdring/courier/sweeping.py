"""Forgetting in time what may be kept no longer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Final

from thirdring.clock import Clock
from thirdring.courier.trouble import Trouble
from thirdring.settings import Business
from thirdring.store import Store
from thirdring.store.effects import sweep_effects
from thirdring.store.memory import CallerMemory
from thirdring.store.notifications import NotificationQueue

__all__ = ["keep_sweeping", "sweep"]

logger = logging.getLogger(__name__)

_EVERY_SECONDS: Final = 86_400.0
_RETRY_SECONDS: Final = 60.0


async def sweep(store: Store, businesses: Iterable[Business], clock: Clock) -> int:
    """Delete what each business keeps no longer; return how many facts of callers that were.

    Raises:
        StoreError: The store cannot be used.
    """
    now, swept = clock.now(), 0
    for business in businesses:
        retention = timedelta(days=business.memory.retention_days)
        swept += await CallerMemory(store, business.slug).sweep(now, retention)
        await NotificationQueue(store).sweep(business.slug, now - retention)
        await sweep_effects(store, business.slug, now - retention)
    if swept:
        logger.info("%d facts about callers were too old to be kept", swept)
    return swept


async def keep_sweeping(store: Store, businesses: Iterable[Business], clock: Clock) -> None:
    """Sweep now and once a day, until cancelled."""
    # Of its own: records are delivered meanwhile, and the courier is well.
    trouble = Trouble("sweep", "what may be kept no longer is still there")
    work = partial(sweep, store, tuple(businesses), clock)
    while True:
        if await trouble.tried("sweeping", work, rest=_RETRY_SECONDS):
            await asyncio.sleep(_EVERY_SECONDS)
