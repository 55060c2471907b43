"""`python -m local.realtime`: run the local realtime server until a signal."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from local.realtime.server import ChatModel, Settings, serve
from thirdring.errors import PhoneError


def main(argv: list[str] | None = None) -> int:
    """Return 0 after SIGINT or SIGTERM, 1 when the server cannot start."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.llm_base_url and not options.llm_model:
        parser.error("--llm-base-url needs --llm-model: the model's name at that endpoint")
    if options.reflex and options.llm_base_url:
        parser.error("--reflex and --llm-base-url exclude each other")
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        asyncio.run(_run(_settings(parser, options)))
    except PhoneError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one line that says why
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m local.realtime", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one")
    parser.add_argument("--api-key-env", metavar="NAME", help="variable with the key to ask for")
    parser.add_argument("--reflex", action="store_true", help="answer bursts of sound with a tone")
    parser.add_argument(
        "--greeting-seconds", type=float, default=10.0, help="length of the reflex's greeting tone"
    )
    parser.add_argument("--llm-base-url", metavar="URL", help="chat completions, with its /v1")
    parser.add_argument("--llm-model", metavar="MODEL")
    parser.add_argument("--llm-api-key-env", metavar="NAME", help="variable with that key")
    parser.add_argument("--workflows", type=Path, default=Path("workflows"), metavar="FOLDER")
    parser.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"]
    )
    return parser


def _settings(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Settings:
    chat = None
    if options.llm_base_url:
        key = _variable(parser, options.llm_api_key_env, "--llm-api-key-env")
        chat = ChatModel(options.llm_base_url, options.llm_model, key)
    return Settings(
        host=options.host,
        port=options.port,
        api_key=_variable(parser, options.api_key_env, "--api-key-env"),
        reflex=options.reflex,
        chat_model=chat,
        workflows=options.workflows,
        greeting_seconds=options.greeting_seconds,
    )


def _variable(parser: argparse.ArgumentParser, name: str | None, option: str) -> str | None:
    if name is None:
        return None
    value = os.environ.get(name)
    if not value:
        parser.error(f"{option}: the environment variable {name} is not set")
    return value


async def _run(settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    # While the models load nothing else runs, so a signal then is seen right after.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with serve(settings) as server:
        logging.getLogger(__name__).info("ready at %s (%s)", server.url, settings.mode)
        await stopped.wait()


if __name__ == "__main__":
    sys.exit(main())
