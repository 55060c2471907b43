"""What a call must leave behind: a typed value, filled while it lasts, whole or not at its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from thirdring.calls import Summary
from thirdring.errors import ToolRefused

__all__ = ["Outcome", "OutcomeSheet"]

_EMPTY: tuple[object, ...] = (None, "", (), {})


class Outcome(BaseModel):
    """The outcome of one workflow; every field has a default, for a call may end at any moment.

    Attributes:
        needed: The fields without which it is not complete.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    needed: ClassVar[tuple[str, ...]] = ()

    def missing(self) -> tuple[str, ...]:
        """Return the needed fields that say nothing yet."""
        return tuple(name for name in self.needed if getattr(self, name) in _EMPTY)

    def summary(self) -> Summary | None:
        """Return what staff are told of the call when it is over; None for nothing."""
        return None


class OutcomeSheet:
    """The outcome of one call as far as it is known.

    Args:
        kind: Which outcome the workflow leaves; None when it leaves none.
        note: Called with every new value, to write it down.

    Attributes:
        value: None when the workflow leaves no outcome.
    """

    def __init__(self, kind: type[Outcome] | None, note: Callable[[Outcome], None]) -> None:
        self.value = None if kind is None else kind()
        self._note = note

    def fill(self, **changes: JsonValue) -> Outcome:
        """Set fields to what was learned; the others stay.

        Raises:
            ToolRefused: A value does not fit, or there is no such field; nothing has changed.
        """
        if self.value is None:
            raise ToolRefused("This call has no form to fill in.")
        known = self.value.model_dump(mode="json")
        try:
            filled = type(self.value).model_validate_json(json.dumps(known | changes))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ToolRefused(f"{name}: {first['msg']}. Ask the caller again.") from error
        if filled != self.value:
            self.value = filled
            self._note(filled)
        return filled
