"""Keeps what is asynchronous alive beside tests that each have a loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

_Value = TypeVar("_Value")


@contextmanager
def in_background(manager: AbstractAsyncContextManager[_Value]) -> Iterator[_Value]:
    """Enter an asynchronous context manager on a loop in a thread, and leave it there."""
    entered: Future[_Value] = Future()
    stop = asyncio.Event()

    async def live() -> None:
        async with manager as value:
            entered.set_result(value)
            await stop.wait()

    def ended(life: Future[None]) -> None:
        if not entered.done():
            entered.set_exception(life.exception() or RuntimeError("it was never entered"))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        life = asyncio.run_coroutine_threadsafe(live(), loop)
        life.add_done_callback(ended)
        yield entered.result()
        loop.call_soon_threadsafe(stop.set)
        life.result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
