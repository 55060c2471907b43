"""What a dispatch may say about its call: a small JSON object, checked before it is believed."""

from __future__ import annotations

import json
from typing import Annotated, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from thirdring.calls import PhoneNumber
from thirdring.errors import LegError

__all__ = ["MAXIMUM_BYTES", "Metadata", "parse"]

MAXIMUM_BYTES = 16 * 1024

_Text = Annotated[str, Field(max_length=500)]


class Metadata(BaseModel):
    """The job metadata of a LiveKit dispatch (docs.livekit.io/agents/server/agent-dispatch).

    Attributes:
        line: Overrides the number that was dialled.
        patient_name: Who calls, when the dispatcher knows.
        errand: What the call is made for: the id of an errand of the line's business.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    line: PhoneNumber | None = None
    patient_name: _Text | None = None
    patient_phone: PhoneNumber | None = None
    notes: _Text | None = None
    errand: Annotated[str, Field(pattern=r"^E-[0-9]{1,12}$")] | None = None


def parse(text: str) -> Metadata:
    """Return what `text` says; an empty text says nothing.

    Raises:
        LegError: It is not a JSON object, too big, or a field is unknown or of a wrong type; names
            the field.
    """
    if not text.strip():
        return Metadata()
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAXIMUM_BYTES:
        raise LegError("metadata", f"is {size} bytes long; at most {MAXIMUM_BYTES} are accepted")
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError as error:
        raise LegError("metadata", f"is not JSON ({error})") from error
    except RecursionError as error:
        raise LegError("metadata", "is nested too deeply") from error
    if not isinstance(document, dict):
        raise LegError("metadata", f"is a JSON {type(document).__name__}, not an object")
    try:
        return Metadata.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(["metadata", *(str(part) for part in first["loc"])])
        raise LegError(path, first["msg"]) from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key occurs twice")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
