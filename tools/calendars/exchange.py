"""One request to a calendar's server, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from thirdring.errors import CalendarError, EgressRefused
from thirdring.guarded_http import GuardedClient

__all__ = ["Answer", "exchange"]

_LONGEST_ANSWER = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def unexpected(self) -> CalendarError:
        """Return the error to raise for a status that means that it did not work."""
        return CalendarError(f"the calendar's server answered {self.status}")


async def exchange(
    client: GuardedClient, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
) -> Answer:
    """Send a request and return its answer, whatever its status.

    Raises:
        CalendarError: There is none, or it is too long.
    """
    received = bytearray()
    # The path may name a person.
    host = urlsplit(url).hostname
    # What is compressed could be a thousand times of what came.
    plainly = {**headers, "accept-encoding": "identity"}
    try:
        async with client.sending(method, url, body, plainly) as response:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise CalendarError(f"{host} compresses, though asked not to")
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > _LONGEST_ANSWER:
                    raise CalendarError(f"{host} answered with too much")
            return Answer(response.status_code, response.headers, bytes(received))
    except EgressRefused as error:
        raise CalendarError(f"the calendar's URL {error}") from error
    except httpx.HTTPError as error:
        raise CalendarError(f"{host}: {type(error).__name__}: {error}") from error
