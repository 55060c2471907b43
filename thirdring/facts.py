"""What the instructions and the greeting of one call may say in place of `{{ name }}`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from thirdring.calls import Leg
from thirdring.languages import language_name
from thirdring.metadata import Metadata
from thirdring.settings import Business, Line

__all__ = ["facts_of"]

_QUOTATION_MARKS: Final = str.maketrans(
    dict.fromkeys('"\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02', "'")
)


def facts_of(
    business: Business,
    line: Line,
    leg: Leg,
    metadata: Metadata,
    *,
    now: datetime,
    remembered: Sequence[str] = (),
) -> dict[str, str]:
    """Return the facts of a call: those of the business, of the line, of the caller.

    Args:
        remembered: What is known of the caller from earlier calls, one fact each.
    """
    today = now.astimezone(business.time_zone)
    facts = dict(business.facts)
    facts.setdefault("facility_name", business.name)
    facts.setdefault("address", "address not known")
    facts.setdefault("notes", "")
    facts.update(
        business_name=business.name,
        agent_name=line.agent_name or business.agent_name,
        spoken_languages=_languages(business),
        today=f"{today:%A, %B} {today.day}, {today.year}",
        caller_phone=leg.caller or "a hidden number",
        caller_memory=quoted(remembered) or "nothing",
        patient_name=metadata.patient_name or "not known yet",
        patient_phone=metadata.patient_phone or leg.caller or "not known yet",
    )
    if metadata.notes:
        facts["notes"] = f"{facts['notes']} {metadata.notes}".strip()
    return facts


def _languages(business: Business) -> str:
    first, *others = dict.fromkeys(language_name(tag) for tag in business.languages)
    if not others:
        return f"{first} only"
    return f"{first}, or {' or '.join(others)} once `switch_language` has changed to it"


def quoted(texts: Sequence[str]) -> str:
    """Return texts that others have chosen, each in quotes that it cannot end by itself."""
    return "; ".join(f'"{text.translate(_QUOTATION_MARKS)}"' for text in texts)
