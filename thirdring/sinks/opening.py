"""The sinks of all businesses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from thirdring.errors import PhoneError
from thirdring.guarded_http import authorities
from thirdring.home import Home
from thirdring.settings import MongoSettings, Settings
from thirdring.sinks.file import FileSink
from thirdring.sinks.sink import Sink
from thirdring.sinks.webhook import WebhookSink, open_client

__all__ = ["open_sinks"]


@asynccontextmanager
async def open_sinks(
    settings: Settings, home: Home
) -> AsyncIterator[Mapping[tuple[str, str], Sink]]:
    """Yield every sink by the slug of its business and its own name, as in `sink_names`.

    Nothing is connected to: a receiver that is away is the matter of a delivery.

    Args:
        home: Where the files of relative paths are.

    Raises:
        PhoneError: A sink needs what is not installed, or has a URL that means nothing.
    """
    async with AsyncExitStack() as stack:
        tls = authorities()
        sinks: dict[tuple[str, str], Sink] = {}
        collections = []
        for business in settings.businesses:
            if business.webhook is not None:
                # A client each: no receiver takes the connections of another.
                client = open_client(settings.allowed_receivers, tls=tls)
                await stack.enter_async_context(client)
                sinks[business.slug, "webhook"] = WebhookSink(client, business.webhook)
            if business.sinks.file is not None:
                path = home.root / business.sinks.file.path
                sinks[business.slug, "file"] = FileSink(path)
            if business.sinks.mongodb is not None:
                collections.append((business.slug, business.sinks.mongodb))
        if collections:
            sinks |= await _open_collections(stack, collections)
        yield sinks


async def _open_collections(
    stack: AsyncExitStack, collections: list[tuple[str, MongoSettings]]
) -> Mapping[tuple[str, str], Sink]:
    try:
        from thirdring.sinks import mongodb  # noqa: PLC0415 - without it the rest must work
    except ModuleNotFoundError:
        raise PhoneError(
            "a business has the sink mongodb, and pymongo is not installed: "
            "`uv sync --inexact --extra mongo`"
        ) from None
    clients: dict[str, mongodb.Client] = {}
    opened: dict[tuple[str, str], Sink] = {}
    for slug, settings in collections:
        url = settings.url.get_secret_value()
        if url not in clients:
            try:
                clients[url] = await stack.enter_async_context(mongodb.open_client(settings))
            except ValueError as error:
                raise PhoneError(f"businesses.{slug}.sinks.mongodb.url: {error}") from None
        opened[slug, "mongodb"] = mongodb.MongoSink(clients[url], settings)
    return opened
