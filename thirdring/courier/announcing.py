"""Telling one person by one of their addresses, with Apprise; nobody else learns the address."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Final
from urllib.parse import unquote

from pydantic import SecretStr

from thirdring.printable import printable
from thirdring.staff import Target

__all__ = ["announce", "name_wrong_addresses"]

logger = logging.getLogger(__name__)

_LONGEST_REASON: Final = 200
_SHORTEST_SECRET: Final = 4
_NOISY: Final = ("apprise", "requests", "urllib3")


def announce(address: SecretStr, *, title: str, body: str, urgent: bool) -> str | None:
    """Tell somebody; return None when that was taken, else why it was not.

    It waits for the service, some seconds at most. The reason holds no part of the address.
    """
    try:
        # Half a second, and a package that only those need who have staff to tell.
        import apprise  # noqa: PLC0415
    except ImportError:
        return "apprise is not installed: uv sync --inexact --extra notify"
    url = address.get_secret_value()
    with _overheard() as said:
        try:
            service = apprise.Apprise.instantiate(url)
            if service is None:
                return "its address is none that Apprise understands"
            kind = apprise.NotifyType.WARNING if urgent else apprise.NotifyType.INFO
            if service.notify(body=body, title=title, notify_type=kind):
                return None
        except Exception as error:  # each of a hundred services raises its own
            said.append(type(error).__name__)
    return _masked(said[-1] if said else "it was not taken", url)


async def name_wrong_addresses(addresses: Mapping[Target, SecretStr]) -> None:
    """Warn of every address that Apprise does not understand, and have Apprise ready."""
    if addresses:
        for target in await asyncio.to_thread(_wrong, addresses):
            logger.warning(
                "%s: address %d of %s is none that Apprise understands: nobody is told there",
                target.business,
                target.channel + 1,
                target.recipient,
            )


def _wrong(addresses: Mapping[Target, SecretStr]) -> list[Target]:
    try:
        import apprise  # noqa: PLC0415 - as above
    except ImportError:
        logger.warning("staff cannot be told: uv sync --inexact --extra notify")
        return []

    def is_wrong(address: SecretStr) -> bool:
        try:
            return apprise.Apprise.instantiate(address.get_secret_value()) is None
        except Exception:  # some of its services fail to read what is none of their addresses
            return True

    with _overheard():
        return [target for target, address in addresses.items() if is_wrong(address)]


class _Ear(logging.Handler):
    """Hears what Apprise says of an attempt, in the thread that makes it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.here = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        said: list[str] | None = getattr(self.here, "said", None)
        if said is not None:
            said.append(record.getMessage())


@cache
def _ear() -> _Ear:
    """Return the one ear; from now on none of these loggers reaches a log, for they name URLs."""
    ear = _Ear()
    for name in _NOISY:
        noisy = logging.getLogger(name)
        noisy.propagate = False
        noisy.setLevel(logging.WARNING)
        noisy.addHandler(ear if name == "apprise" else logging.NullHandler())
    return ear


@contextmanager
def _overheard() -> Iterator[list[str]]:
    said: list[str] = []
    ear = _ear()
    ear.here.said = said
    try:
        yield said
    finally:
        ear.here.said = None


def _masked(reason: str, url: str) -> str:
    """Return a reason on one line without any part of an address but its scheme."""
    rest = url.partition("://")[2]
    parts = {rest, *re.split(r"[/:@?&=#,\s]+", rest), *re.split(r"[/:@?&=#,.\s]+", rest)}
    secrets = {part for text in parts for part in (text, unquote(text))}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            reason = re.sub(re.escape(secret), "…", reason, flags=re.IGNORECASE)
    return printable(reason)[:_LONGEST_REASON]
