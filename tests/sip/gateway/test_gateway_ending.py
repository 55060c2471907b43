"""What a record says of each end that the gateway knows."""

from __future__ import annotations

import pytest

from sip.gateway.ending import End, departure, is_said
from thirdring.calls import EndReason

_UNANSWERED = {
    End.CALLER_HUNG_UP: EndReason.ABANDONED,
    End.CALLER_GAVE_UP: EndReason.ABANDONED,
    End.MEDIA_TIMEOUT: EndReason.MEDIA_TIMEOUT,
    End.ROOM_GONE: EndReason.REMOVED,
}
_ANSWERED = {
    End.CALLER_HUNG_UP: EndReason.CALLER_HUNG_UP,
    End.MEDIA_TIMEOUT: EndReason.MEDIA_TIMEOUT,
    End.ROOM_GONE: EndReason.REMOVED,
    End.AGENT_GONE: EndReason.AGENT_HUNG_UP,
    End.STOPPED: EndReason.WORKER_STOPPED,
}


@pytest.mark.parametrize("end", End)
def test_a_call_that_was_not_answered_was_abandoned_or_refused(end: End) -> None:
    """Whatever kept it from being answered is a refusal, and the detail says what."""
    reason, detail = departure(end, answered=False)
    assert reason is _UNANSWERED.get(end, EndReason.REFUSED)
    assert detail == (None if reason is EndReason.ABANDONED else end.value)


@pytest.mark.parametrize(("end", "expected"), _ANSWERED.items())
def test_a_call_that_was_answered_has_another_reason(end: End, expected: EndReason) -> None:
    """Nobody is refused any more."""
    assert departure(end, answered=True).reason is expected


def test_a_job_is_told_what_looks_like_a_hang_up_and_is_none() -> None:
    """All but what the room shows itself."""
    assert {end for end in End if not is_said(end)} == {
        End.CALLER_HUNG_UP,
        End.CALLER_GAVE_UP,
        End.ROOM_GONE,
    }
