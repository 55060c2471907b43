"""The parts that are programs of this project: model, gateway, worker, receiver, courier."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from local.parts.part import Part
from local.parts.ports import LOOPBACK, Port
from local.parts.probes import all_of, answers_http, answers_sip, says
from sip import server_events
from thirdring.errors import PartError

__all__ = ["courier", "gateway", "model", "receiver", "worker"]

_MODEL_KEY, _LLM_KEY = "THIRDRING_LOCAL_MODEL_KEY", "THIRDRING_LLM_API_KEY"


def model(
    log: Path,
    *,
    port: int,
    api_key: str,
    reflex: bool = False,
    llm_base_url: str | None = None,
    llm_model: str | None = None,
) -> Part:
    """Return the local realtime server.

    Args:
        api_key: What its clients must send.
        reflex: Answer a burst of sound with a tone at once, instead of listening to words.
        llm_base_url: An OpenAI-compatible chat endpoint in place of the scripts. Its key is in
            `THIRDRING_LLM_API_KEY`, for OpenAI's own must not reach anyone else.
        llm_model: The model's name there.

    Raises:
        PartError: `llm_base_url` without `llm_model`.
    """
    options: tuple[str, ...] = ("--reflex",) if reflex else ()
    if llm_base_url:
        if not llm_model:
            raise PartError(
                "--llm-base-url needs the name of a model there: "
                "give --llm-model or set THIRDRING_LLM_MODEL"
            )
        options += ("--llm-base-url", llm_base_url, "--llm-model", llm_model)
        if os.environ.get(_LLM_KEY):
            options += ("--llm-api-key-env", _LLM_KEY)
    return Part(
        name="model",
        argv=_python(
            *("-m", "local.realtime", "--host", LOOPBACK, "--port", str(port)),
            *("--api-key-env", _MODEL_KEY, *options),
        ),
        log=log,
        ready=answers_http(f"http://{LOOPBACK}:{port}/healthz"),
        address=f"http://{LOOPBACK}:{port}/v1",
        env={_MODEL_KEY: api_key},
        ports=(Port(port),),
        patience=60,
    )


def gateway(
    log: Path, *, config: Path, host: str, port: int, number: str, env: Mapping[str, str]
) -> Part:
    """Return our SIP gateway; `number` is one of its lines, which is asked whether it answers."""
    return Part(
        name="gateway",
        argv=_python("ring.py", "gateway", "--config", str(config.absolute()), "--port", str(port)),
        log=log,
        ready=answers_sip(host, port, number),
        address=f"sip:{number}@{host}:{port}",
        env=env,
        ports=(Port(port, "udp", host), Port(port, "tcp", host)),
        after=("livekit-server",),
    )


def worker(
    log: Path, *, config: Path, port: int, warm_processes: int, env: Mapping[str, str]
) -> Part:
    """Return the agent's worker; it is ready once registered, with its job processes warm.

    Args:
        port: Of its own health page.
    """
    return Part(
        name="worker",
        argv=_python("agent.py", "start"),
        log=log,
        # Its pages do not say whether livekit-server has accepted the worker; its log does.
        ready=all_of(
            answers_http(f"http://{LOOPBACK}:{port}/worker"),
            says(log, "registered worker"),
            says(log, "process initialized", times=warm_processes),
        ),
        address=f"http://{LOOPBACK}:{port}/worker",
        env={
            **env,
            "THIRDRING_CONFIG": str(config.absolute()),
            "THIRDRING_WORKER_HOST": LOOPBACK,
            "THIRDRING_WORKER_PORT": str(port),
        },
        ports=(Port(port),),
        after=("livekit-server",),
        patience=60,
    )


def receiver(log: Path, *, port: int, out: Path, env: Mapping[str, str]) -> Part:
    """Return the webhook receiver, which appends what it is sent to the file `out`."""
    return Part(
        name="receiver",
        argv=_python(
            *("-m", "local.receiver", "--host", LOOPBACK, "--port", str(port)),
            *("--out", str(out), "--secret-env", "THIRDRING_WEBHOOK_SECRET"),
        ),
        log=log,
        ready=answers_http(f"http://{LOOPBACK}:{port}/healthz"),
        address=f"http://{LOOPBACK}:{port}/",
        env=env,
        ports=(Port(port),),
    )


def courier(log: Path, *, config: Path, port: int, env: Mapping[str, str]) -> Part:
    """Return the courier; stops before the receiver does, so that a delivery under way arrives.

    Args:
        port: Where it listens for livekit-server.
    """
    return Part(
        name="courier",
        argv=_python("ring.py", "courier", "--config", str(config.absolute())),
        log=log,
        ready=says(log, "courier ready"),
        env={
            **env,
            "THIRDRING_COURIER_HOST": LOOPBACK,
            server_events.PORT_VARIABLE: str(port),
        },
        ports=(Port(port),),
        after=("receiver",),
    )


def _python(*arguments: str) -> tuple[str, ...]:
    # Unbuffered: a log that is read while its program runs must not lag behind.
    return (sys.executable, "-u", *arguments)
