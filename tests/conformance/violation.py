"""What the checkers raise."""

from __future__ import annotations

__all__ = ["Violation", "require"]


class Violation(AssertionError):
    """A transcript that is not one of the protocol."""


def require(fact: bool, otherwise: str) -> None:
    """Raise what is wrong unless it is a fact.

    Raises:
        Violation: It is not.
    """
    if not fact:
        raise Violation(otherwise)
