"""What follows from a record besides its delivery: staff are told, the caller is remembered."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from thirdring.private_numbers import holds_private_number
from thirdring.prompts import plain
from thirdring.record import Record
from thirdring.settings import Business
from thirdring.staff import concerned, signed
from thirdring.store.memory import CallerFact
from thirdring.store.notifications import Notice

__all__ = ["fact_of", "notice_of", "report_callback"]

logger = logging.getLogger(__name__)

_LONGEST_FACT = 200


def notice_of(record: Record, business: Business) -> Notice | None:
    """Return what staff are told of a call; None when nothing came of it, or there is nobody."""
    outcome = record.outcome
    if outcome is None or outcome.summary is None:
        return None
    summary = outcome.summary
    targets = concerned(business, urgent=summary.urgent)
    if not targets:
        return None
    return Notice(
        key="outcome",
        business=business.slug,
        title=summary.title,
        body=signed(summary.body, business, record.caller_number, record.opened_at),
        urgent=summary.urgent,
        call_id=record.call_id,
        created_at=record.ended_at,
        targets=targets,
    )


def fact_of(record: Record, business: Business, now: datetime) -> CallerFact | None:
    """Return what the next call of this caller may begin with; None when nothing is to be kept."""
    memory = business.memory
    if record.caller_number is None or record.answered_at is None or not memory.enabled:
        return None
    if record.opened_at < now - timedelta(days=memory.retention_days):
        return None
    day = record.opened_at.astimezone(business.time_zone)
    text = f"Called on {day:%A, %B} {day.day}, {day.year}"
    summary = record.outcome.summary if record.outcome else None
    if summary is not None and not holds_private_number(summary.title):
        text = f"{text}: {plain(summary.title)}"
    return CallerFact(
        business=business.slug,
        number=record.caller_number,
        fact=text[:_LONGEST_FACT],
        call_id=record.call_id,
        noted_at=record.opened_at,
        of_call=True,
    )


def report_callback(record: Record) -> None:
    """Say in the log whether a caller wants to be called back, where the workflow asks that."""
    if record.outcome is None or "callback" not in record.outcome.value:
        return
    value = record.outcome.value
    # Whoever was promised nothing has perhaps asked for it all the same.
    wanted = value["callback"] or value.get("callback_asked")
    logger.info(
        "call %s: caller %s; callback wanted: %s",
        record.call_id,
        f"{record.caller_number[:5]}…" if record.caller_number else "hidden",
        "yes" if wanted else "no",
        extra={"call_id": record.call_id, "callback": bool(wanted)},
    )
