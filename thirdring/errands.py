"""Which errand a call is made for, and what its agent knows of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pydantic import JsonValue

from thirdring.calls import Leg
from thirdring.errors import LegError, StoreError
from thirdring.metadata import Metadata
from thirdring.settings import Business
from thirdring.store import Store
from thirdring.store.errands import Errand, find, open_errands
from thirdring.workflow import MAIN, Workflow

__all__ = ["errand_facts", "errand_of", "first_name"]

logger = logging.getLogger(__name__)

NOT_KNOWN: Final = "not known"

_LOOK_SECONDS: Final = 1.0
"""How long a caller waits for whether they call back."""


async def errand_of(
    store: Store, business: Business, workflow: Workflow, leg: Leg, metadata: Metadata
) -> Errand | None:
    """Return the errand that a call is for: the one that its dispatch names, or that of somebody
    who calls back, who is served like others while the store is away.

    Raises:
        LegError: The dispatch names one that is not there, or is of another kind of call.
        StoreError: The dispatch names one, and the store cannot be used.
    """
    if metadata.errand is not None:
        errand = await find(store, business.slug, metadata.errand)
        if errand is None or workflow.errand is None or errand.kind != workflow.name:
            raise LegError("metadata.errand", f"{workflow.name} has no errand {metadata.errand}")
        return errand
    if not workflow.takes_callbacks or leg.caller is None:
        return None
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            waiting = await open_errands(store, business.slug)
    except (StoreError, TimeoutError) as error:
        logger.warning("whether this caller calls back is not known: %s", error or "no answer")
        return None
    return next(
        (each for each in waiting if each.number == leg.caller and each.kind == workflow.name), None
    )


def first_name(workflow: Workflow, errand: Errand | None) -> str:
    """Return which agent of a workflow speaks first."""
    if errand is None:
        return MAIN
    return next((part.name for part in workflow.agents if part.on_its_own_call), MAIN)


def errand_facts(workflow: Workflow, business: Business, errand: Errand | None) -> dict[str, str]:
    """Return the fields of a workflow's errands as facts; a business may have values for those
    that are not told.
    """
    if workflow.errand is None:
        return {}
    details = {} if errand is None else errand.details
    fields = {name: _spoken(details.get(name)) for name in workflow.errand.model_fields}
    return {name: value or business.facts.get(name) or NOT_KNOWN for name, value in fields.items()}


def _spoken(value: JsonValue) -> str:
    if isinstance(value, list):
        return ", ".join(_spoken(each) for each in value)
    return "" if value is None else str(value)
