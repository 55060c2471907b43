"""The number that was dialled decides the line."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from thirdring import lines
from thirdring.calls import Leg, LegKind
from thirdring.errors import LineNotFound
from thirdring.metadata import Metadata
from thirdring.settings import Business, Line, Settings

_MAIN = Line(number="+12025550142", workflow="patient_questions")
_OTHER = Line(number="+12025550143", workflow="patient_questions")
_CLINIC = Business(slug="clinic", name="Clinic", time_zone=ZoneInfo("UTC"), lines=(_MAIN, _OTHER))
_SETTINGS = Settings(businesses=(_CLINIC,), default_line=_OTHER.number)


def _phone(called: str | None) -> Leg:
    return Leg(call_id="c1", kind=LegKind.SIP, identity="sip_1", called=called)


def test_the_number_dialled_chooses_the_line() -> None:
    """A call to a line's number gets that line and its business."""
    assert lines.choose(_SETTINGS, _phone(_MAIN.number), Metadata()) == (_CLINIC, _MAIN)


def test_metadata_overrides_the_number_dialled() -> None:
    """A dispatcher that names a line gets it."""
    chosen = lines.choose(_SETTINGS, _phone(_MAIN.number), Metadata(line=_OTHER.number))
    assert chosen == (_CLINIC, _OTHER)


@pytest.mark.parametrize("kind", [LegKind.BROWSER, LegKind.CONSOLE])
def test_the_default_line_serves_those_who_dial_nothing(kind: LegKind) -> None:
    """Console and browser get the default line."""
    leg = Leg(call_id="c1", kind=kind, identity="me")
    assert lines.choose(_SETTINGS, leg, Metadata()) == (_CLINIC, _OTHER)


@pytest.mark.parametrize(
    ("called", "said", "field"),
    [
        ("+12025550199", Metadata(), "sip.trunkPhoneNumber"),
        (None, Metadata(), "sip.trunkPhoneNumber"),
        (_MAIN.number, Metadata(line="+12025550199"), "metadata.line"),
    ],
)
def test_a_number_without_a_line_names_its_field(
    called: str | None, said: Metadata, field: str
) -> None:
    """The phone never falls back to the default line."""
    with pytest.raises(LineNotFound) as caught:
        lines.choose(_SETTINGS, _phone(called), said)
    assert caught.value.field == field
