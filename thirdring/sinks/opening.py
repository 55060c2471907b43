"""The sinks of all businesses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from thirdring.home import Home
from thirdring.settings import Settings
from thirdring.sinks.sink import Sink
from thirdring.sinks.webhook import WebhookSink, open_client

__all__ = ["open_sinks"]


@asynccontextmanager
async def open_sinks(
    settings: Settings, home: Home
) -> AsyncIterator[Mapping[tuple[str, str], Sink]]:
    """Return every sink by the slug of its business and its own name, as in `sink_names`."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_client(settings.allowed_receivers))
        sinks: dict[tuple[str, str], Sink] = {}
        for business in settings.businesses:
            if business.webhook is not None:
                sinks[business.slug, "webhook"] = WebhookSink(client, business.webhook)
        yield sinks
