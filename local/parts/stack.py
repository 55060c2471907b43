"""Everything that a call needs on one machine: the parts, and the variables that lead to them."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from local.parts import programs
from local.parts.livekit_server import Keys, livekit_server
from local.parts.livekit_sip import livekit_sip
from local.parts.part import Part, running
from local.parts.ports import LOOPBACK, free_port, own_address
from local.parts.redis import redis_server
from sip import provision, server_events
from thirdring import config, workflow
from thirdring.access import LiveKitAccess
from thirdring.home import Home
from thirdring.settings import Settings

__all__ = ["CONFIGURATION", "Ports", "SipSide", "Stack", "Wanted", "live", "plan", "stack"]

CONFIGURATION = Path("thirdring.yaml")


class SipSide(StrEnum):
    """What brings phone calls into rooms: our own, or LiveKit's with Redis, trunks and rules."""

    GATEWAY = "gateway"
    LIVEKIT_SIP = "livekit-sip"


@dataclass(frozen=True)
class Ports:
    """Where the parts listen: free ports unless told otherwise, which disturb nothing else.

    Attributes:
        sip: None for the one that the configuration names.
    """

    livekit: int = field(default_factory=free_port)
    model: int = field(default_factory=free_port)
    receiver: int = field(default_factory=free_port)
    worker: int = field(default_factory=free_port)
    courier: int = field(default_factory=free_port)
    sip: int | None = field(default_factory=free_port)


@dataclass(frozen=True)
class Wanted:
    """Which parts run besides livekit-server, and how.

    Attributes:
        model: The local realtime server; False for OpenAI's own, with a key from the environment.
        reflex: The model answers a burst of sound with a tone at once.
        llm_base_url: An OpenAI-compatible chat endpoint in place of the model's scripts.
        llm_model: The model's name there; `THIRDRING_LLM_MODEL` when None.
        sip: None for no phone calls; livekit-sip brings Redis, trunks and rules with it.
        delivery: Webhook receiver and courier.
        firefox: Media also at this machine's address on its network, as Firefox needs it.
    """

    model: bool = True
    reflex: bool = False
    llm_base_url: str | None = None
    llm_model: str | None = None
    sip: SipSide | None = SipSide.GATEWAY
    worker: bool = False
    delivery: bool = False
    firefox: bool = False


@dataclass(frozen=True)
class Stack:
    """Parts that run.

    Attributes:
        settings: The configuration that they all read.
        environ: The variables that lead to them, for programs that join them.
        sip_address: Host and port of the SIP side.
        received: Where the receiver writes deliveries, one JSON object per line.
        parts: In the order in which they are listed to people.
    """

    home: Home
    settings: Settings
    environ: Mapping[str, str]
    sip: SipSide | None
    sip_address: tuple[str, int]
    received: Path
    parts: tuple[Part, ...]

    @property
    def log_paths(self) -> dict[str, Path]:
        """Return the log of each part by its name."""
        return {part.name: part.log for part in self.parts}

    @property
    def number(self) -> str:
        """Return the number of the first line, for whoever wants to call."""
        return self.settings.businesses[0].lines[0].number


@asynccontextmanager
async def stack(
    home: Home,
    *,
    configuration: Path = CONFIGURATION,
    ports: Ports | None = None,
    wanted: Wanted | None = None,
) -> AsyncIterator[Stack]:
    """Keep the parts running; enter when all are ready.

    Raises:
        ConfigError: The configuration is wrong; nothing was started.
        PartError: A part cannot start, or died; all have stopped.
    """
    planned = plan(
        home, configuration=configuration, ports=ports or Ports(), wanted=wanted or Wanted()
    )
    async with live(planned):
        yield planned


@asynccontextmanager
async def live(planned: Stack) -> AsyncIterator[None]:
    """Keep the parts of a plan running; enter when calls can come.

    Raises:
        PartError: A part cannot start, or died; all have stopped.
        ProvisionError: livekit-server did not take our trunks and rules; all have stopped.
    """
    async with running(planned.parts):
        if planned.sip is SipSide.LIVEKIT_SIP:
            access = LiveKitAccess.from_environment(planned.environ)
            await provision.apply(planned.settings, access)
        yield


def plan(home: Home, *, configuration: Path, ports: Ports, wanted: Wanted) -> Stack:
    """Return the stack as it would run.

    Raises:
        ConfigError: The configuration is wrong.
        PartError: livekit-server is not installed, or no port is free.
    """
    keys, model_key = Keys(), secrets.token_urlsafe(24)
    environ = _environ(home, ports, keys, model_key if wanted.model else None)
    settings = config.load(
        configuration, workflows=workflow.discover(), environ={**os.environ, **environ}
    )
    planned = Stack(
        home=home,
        settings=settings,
        environ=environ,
        sip=wanted.sip,
        sip_address=(
            LOOPBACK if wanted.sip is SipSide.LIVEKIT_SIP else settings.gateway.host,
            ports.sip or settings.gateway.port or free_port(),
        ),
        received=home.root / "webhook.jsonl",
        parts=(),
    )
    return replace(planned, parts=tuple(_parts(planned, configuration, ports, wanted)))


def _environ(home: Home, ports: Ports, keys: Keys, model_key: str | None) -> dict[str, str]:
    environ = {
        "LIVEKIT_URL": f"ws://{LOOPBACK}:{ports.livekit}",
        "LIVEKIT_API_KEY": keys.api_key,
        "LIVEKIT_API_SECRET": keys.api_secret,
        "THIRDRING_WEBHOOK_URL": f"http://{LOOPBACK}:{ports.receiver}/",
        "THIRDRING_WEBHOOK_SECRET": f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "THIRDRING_HOME": str(home.root),
    }
    if model_key is not None:
        environ["OPENAI_BASE_URL"] = f"http://{LOOPBACK}:{ports.model}/v1"
        environ["OPENAI_API_KEY"] = model_key
    return environ


def _parts(planned: Stack, configuration: Path, ports: Ports, wanted: Wanted) -> Iterator[Part]:
    logs, env = planned.home.logs, planned.environ
    keys = Keys(env["LIVEKIT_API_KEY"], env["LIVEKIT_API_SECRET"])
    redis = redis_server(logs / "redis.log") if wanted.sip is SipSide.LIVEKIT_SIP else None
    if redis:
        yield redis
    yield livekit_server(
        logs / "livekit-server.log",
        keys,
        port=ports.livekit,
        redis=redis.address if redis else None,
        media_also_at=own_address() if wanted.firefox else None,
        webhook=f"http://{LOOPBACK}:{ports.courier}{server_events.PATH}"
        if wanted.delivery
        else None,
    )
    if wanted.model:
        yield programs.model(
            logs / "model.log",
            port=ports.model,
            api_key=env["OPENAI_API_KEY"],
            reflex=wanted.reflex,
            llm_base_url=wanted.llm_base_url,
            llm_model=wanted.llm_model or os.environ.get("THIRDRING_LLM_MODEL"),
        )
    yield from _sip_side(planned, configuration, redis)
    if wanted.worker:
        yield programs.worker(
            logs / "worker.log",
            config=configuration,
            port=ports.worker,
            warm_processes=planned.settings.worker.idle_processes,
            env=env,
        )
    if wanted.delivery:
        log = logs / "receiver.log"
        yield programs.receiver(log, port=ports.receiver, out=planned.received, env=env)
        yield programs.courier(
            logs / "courier.log", config=configuration, port=ports.courier, env=env
        )


def _sip_side(planned: Stack, configuration: Path, redis: Part | None) -> Iterator[Part]:
    logs, env = planned.home.logs, planned.environ
    host, port = planned.sip_address
    if redis:
        yield livekit_sip(
            logs / "livekit-sip.log",
            redis=redis.address,
            port=port,
            rtp_ports=planned.settings.gateway.rtp_ports,
            env=env,
        )
    elif planned.sip is SipSide.GATEWAY:
        yield programs.gateway(
            logs / "gateway.log",
            config=configuration,
            host=host,
            port=port,
            number=planned.number,
            env=env,
        )
