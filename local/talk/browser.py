"""`python ring.py talk --browser`: one page on loopback, from which one can call a line."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from local.parts.ports import LOOPBACK
from local.talk.browser_app import Page, make_app
from thirdring.access import LiveKitAccess
from thirdring.errors import PhoneError
from thirdring.settings import Business, Line

__all__ = ["serve", "serving"]


async def serve(access: LiveKitAccess, business: Business, line: Line, *, port: int) -> None:
    """Serve the page and say where, until cancelled.

    Args:
        port: 0 for a free one.

    Raises:
        PhoneError: The port is taken.
    """
    async with serving(access, business, line, port=port) as url:
        sys.stdout.write(
            f"Open in a browser on this machine:  {url}\n"
            f"It calls {business.name}, {line.number}, through {access.url}. Ctrl-C stops it.\n"
        )
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def serving(
    access: LiveKitAccess, business: Business, line: Line, *, port: int = 0
) -> AsyncIterator[str]:
    """Serve the page; yield its address, key included.

    Raises:
        PhoneError: The port is taken.
    """
    page = Page(access, business, line, key=secrets.token_urlsafe(12))
    runner = web.AppRunner(make_app(page), access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError as error:
            why = os.strerror(error.errno or errno.EADDRINUSE)
            raise PhoneError(
                f"the page cannot be served at port {port} of {LOOPBACK} ({why}): "
                "choose another with --port, 0 for any"
            ) from None
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}/#key={page.key}"
    finally:
        await runner.cleanup()
