"""What the commands of operators run with: the home of this installation and its store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from thirdring.errors import PhoneError
from thirdring.home import Home

if TYPE_CHECKING:
    from thirdring.store import Store

__all__ = ["home", "with_store"]

# Who asks for ten thousand calls at once is no caller who hears nothing meanwhile.
_PATIENCE_SECONDS = 30.0

T = TypeVar("T")


def home() -> Home:
    """Return the home that the environment names."""
    return Home.from_environment(os.environ)


def with_store(work: Callable[[Store], Awaitable[T]], *, make: bool = False) -> T:
    """Run `work` with the store.

    Raises:
        PhoneError: There is none yet, and it is not to be made.
    """
    # psycopg, where it is needed, takes longer than `--help` may.
    from thirdring.store import open_store  # noqa: PLC0415

    found = home()
    if make:
        found = found.made()
    elif not found.store.exists() and not os.environ.get("THIRDRING_STORE"):
        raise PhoneError(
            f"{found.store}: there are no records yet; the courier makes this file. Records of"
            " another home are shown with THIRDRING_HOME, those in PostgreSQL with THIRDRING_STORE"
        )

    async def run() -> T:
        async with open_store(found, os.environ, patience=_PATIENCE_SECONDS) as store:
            return await work(store)

    return asyncio.run(run())
