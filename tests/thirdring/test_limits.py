"""How much one call may take."""

from __future__ import annotations

import pytest

from tests.samples import LINE, business
from thirdring import workflow
from thirdring.limits import call_minutes, reply_tokens
from thirdring.settings import Limits

CLINIC = workflow.discover()["patient_questions"]


@pytest.mark.parametrize(
    ("of_line", "of_business", "expected"),
    [
        (Limits(), Limits(), (30, 200)),
        (Limits(), Limits(call_minutes=10, reply_tokens=150), (10, 150)),
        (Limits(call_minutes=5), Limits(call_minutes=10, reply_tokens=150), (5, 150)),
        (Limits(reply_tokens=80), Limits(reply_tokens=150), (30, 80)),
    ],
)
def test_the_line_decides_before_its_business_before_the_workflow(
    of_line: Limits, of_business: Limits, expected: tuple[int, int]
) -> None:
    """Each limit by itself."""
    played = CLINIC.model_copy(update={"reply_tokens": 200, "time_limit_minutes": 30})
    line = LINE.model_copy(update={"limits": of_line})
    of = business().model_copy(update={"limits": of_business})
    assert (call_minutes(line, played, of), reply_tokens(line, played, of)) == expected
