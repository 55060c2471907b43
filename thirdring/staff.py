"""Who of a business's staff is told what, and by which of their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from pydantic import SecretStr

from thirdring.settings import Business

__all__ = ["Target", "addresses", "concerned", "signed"]


class Target(NamedTuple):
    """One address of somebody, by its place: a mended address gets what the wrong one did not.

    Attributes:
        recipient: The name that the file has for them.
        channel: Counts their addresses from 0.
    """

    business: str
    recipient: str
    channel: int


def concerned(business: Business, *, urgent: bool) -> tuple[Target, ...]:
    """Return where a notice goes: to everybody, or not to those who want only urgent ones."""
    return tuple(
        Target(business.slug, member.name, channel)
        for member in business.staff.values()
        if urgent or not member.urgent_only
        for channel in range(len(member.notify))
    )


def signed(body: str, business: Business, caller: str | None, at: datetime) -> str:
    """Return a text for staff with who called and when, for it may come late."""
    here = at.astimezone(business.time_zone)
    when = f"{here:%A, %B} {here.day}, {here.year}, {here.hour % 12 or 12}:{here:%M %p}"
    return f"{body}\nCall of {when}, from {caller or 'a hidden number'}."


def addresses(businesses: Iterable[Business]) -> dict[Target, SecretStr]:
    """Return the Apprise URL of every target."""
    return dict(_addresses(businesses))


def _addresses(businesses: Iterable[Business]) -> Iterator[tuple[Target, SecretStr]]:
    for business in businesses:
        for member in business.staff.values():
            for channel, url in enumerate(member.notify):
                yield Target(business.slug, member.name, channel), url
