"""Keeps what is asynchronous alive beside tests that each have a loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import TypeVar

__all__ = ["in_background"]

_Value = TypeVar("_Value")


@contextmanager
def in_background(manager: AbstractAsyncContextManager[_Value]) -> Iterator[_Value]:
    """Enter an asynchronous context manager on a loop in a thread, and leave it there.

    What ends it meanwhile, such as a part that died, is raised on leaving.
    """
    entered: Future[tuple[_Value, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    ended: Future[None] = Future()

    async def live() -> None:
        stop = asyncio.Event()
        async with manager as value:
            entered.set_result((value, asyncio.get_running_loop(), stop))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # it reaches whoever waits to enter, or leaves
            (ended if entered.done() else entered).set_exception(error)
        else:
            ended.set_result(None)

    thread = threading.Thread(target=run, name="background")
    thread.start()
    value, loop, stop = entered.result()
    try:
        yield value
    finally:
        with suppress(RuntimeError):  # the loop has closed: it ended before
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        ended.result()
