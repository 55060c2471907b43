"""Why a call that we place does not go as planned.

PhoneError
└── CallerError         cannot be placed at all: address, voice, file
    └── CallNotAsPlanned  placed, but refused, cut off, or the agent did not do what was waited for
"""

from __future__ import annotations

from thirdring.errors import PhoneError

__all__ = ["CallNotAsPlanned", "CallerError"]


class CallerError(PhoneError):
    """The caller cannot do what was asked."""


class CallNotAsPlanned(CallerError):
    """The far end did something else than the script expects.

    Attributes:
        status: The SIP status of a refusal; None otherwise.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)
