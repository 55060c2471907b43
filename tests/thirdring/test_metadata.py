"""What a dispatch may say, and what is refused."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdring.errors import LegError
from thirdring.metadata import MAXIMUM_BYTES, Metadata, parse


def test_empty_metadata_says_nothing() -> None:
    """No metadata is as good as an empty object."""
    assert parse("") == parse(" \n") == parse("{}") == Metadata()


def test_metadata_names_line_and_patient() -> None:
    """The fields that a dispatcher may set arrive typed."""
    said = parse('{"line": "+12025550142", "patient_name": "Ann Baker"}')
    assert said == Metadata(line="+12025550142", patient_name="Ann Baker")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("not json", "metadata"),
        ("null", "metadata"),
        ("[1]", "metadata"),
        ('{"notes": NaN}', "metadata"),
        ('{"notes": "a", "notes": "b"}', "metadata"),
        ("[" * 100_000, "metadata"),
        (json.dumps({"notes": "x" * MAXIMUM_BYTES}), "metadata"),
        ('{"line": 12025550142}', "metadata.line"),
        ('{"line": "2025550142"}', "metadata.line"),
        ('{"patient_name": ["Ann"]}', "metadata.patient_name"),
        ('{"tenant": "other"}', "metadata.tenant"),
    ],
)
def test_malformed_metadata_names_its_field(text: str, field: str) -> None:
    """Whatever is wrong, the error says in which field."""
    with pytest.raises(LegError) as caught:
        parse(text)
    assert caught.value.field == field


@given(st.text(max_size=300))
def test_any_text_is_metadata_or_a_leg_error(text: str) -> None:
    """No text at all raises anything else."""
    with contextlib.suppress(LegError):
        assert isinstance(parse(text), Metadata)
