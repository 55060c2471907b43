"""All that a run kills: the programs of a real installation, and their process ids."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import yaml

from local.chaos.ledger import Said, read_said
from local.chaos.programs import Programs
from local.chaos.receiver import Receiver, receiving
from local.parts.part import Part
from local.parts.ports import LOOPBACK
from local.parts.probes import all_of, answers_http, says
from local.parts.stack import Ports, SipSide, Stack, Wanted, plan
from thirdring.home import Home

__all__ = ["Field", "Terms", "open_field"]

_NOT_OURS_TO_RUN = frozenset({"receiver"})
_CONFIGURATION = Path(__file__).parents[2] / "thirdring.yaml"


@dataclass(frozen=True)
class Terms:
    """What a run needs.

    Attributes:
        speech: The model hears and speaks; else it needs no sound.
        idle: Job processes that are kept warm.
        gateway: Phones can call by SIP.
        home: Where journals and store are, when not in the run's folder.
        plain: The worker is not ours, and there is no courier.
    """

    seed: int = 0
    speech: bool = False
    idle: int = 3
    capacity: int = 12
    gateway: bool = True
    home: Path | None = None
    plain: bool = False


@dataclass
class Field:
    """A stack whose parts may die.

    Attributes:
        folder: Of logs and of the model's log of turns.
    """

    folder: Path
    stack: Stack
    programs: Programs
    receiver: Receiver
    model_port: int

    @property
    def target(self) -> str:
        """The first line's SIP address."""
        host, port = self.stack.sip_address
        return f"sip:{self.stack.number}@{host}:{port}"

    def said(self) -> list[Said]:
        """Return what the model has written down."""
        return read_said(_turns(self.folder))

    def jobs(self) -> dict[int, frozenset[str]]:
        """Return the process ids of the worker's jobs with the names of the journals they hold."""
        # By inode: a journal is opened under another name than it has afterwards.
        with os.scandir(self.stack.home.journals) as folder:
            names = {one.inode(): one.name for one in folder if one.name.endswith(".jsonl")}
        found = {}
        for child in self.programs["worker"].children():
            held = frozenset(names[inode] for inode in _inodes(child.pid) if inode in names)
            if held:
                found[child.pid] = held
        return found

    def busy_jobs(self) -> list[int]:
        """Return the process ids of the worker's jobs that talk to the model, whosoever worker."""
        found = []
        for child in self.programs["worker"].children():
            with suppress(psutil.Error):
                talks = child.net_connections("tcp4")
                if any(one.raddr and one.raddr.port == self.model_port for one in talks):
                    found.append(child.pid)
        return found


def _inodes(pid: int) -> Iterator[int]:
    """Yield those of the files that a process has open."""
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as descriptors:
        for descriptor in descriptors:
            with suppress(OSError):
                yield descriptor.stat().st_ino


def _turns(folder: Path) -> Path:
    return folder / "turns.jsonl"


@asynccontextmanager
async def open_field(folder: Path, terms: Terms) -> AsyncIterator[Field]:
    """Start all programs; end them, and all that they left behind, with the context.

    Raises:
        PartError: One does not start.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = folder / "thirdring.yaml"
    configuration.write_text(_configuration(terms), encoding="utf-8")
    ports = Ports()
    wanted = Wanted(worker=True, delivery=True, sip=SipSide.GATEWAY if terms.gateway else None)
    stack = plan(
        Home(terms.home or folder), configuration=configuration, ports=ports, wanted=wanted
    )
    left_out = _NOT_OURS_TO_RUN | ({"courier"} if terms.plain else set())
    parts = tuple(
        _fitted(part, folder, ports, terms) for part in stack.parts if part.name not in left_out
    )
    secret = stack.environ["THIRDRING_WEBHOOK_SECRET"]
    async with receiving(ports.receiver, secret) as receiver, Programs(parts) as programs:
        yield Field(folder, stack, programs, receiver, ports.model)


def _configuration(terms: Terms) -> str:
    document = yaml.safe_load(_CONFIGURATION.read_text(encoding="utf-8"))
    document["worker"] |= {"capacity": terms.capacity, "idle_processes": terms.idle}
    document["gateway"] |= {"max_calls": 2 * terms.capacity}
    return yaml.safe_dump(document, sort_keys=False)


def _fitted(part: Part, folder: Path, ports: Ports, terms: Terms) -> Part:
    part = replace(part, log=folder / "logs" / part.log.name, patience=2 * part.patience)
    log = part.log
    if part.name == "model":
        argv = (
            *(sys.executable, "-u", "-m", "local.chaos.model", "--port", str(ports.model)),
            *("--log", str(_turns(folder)), "--seed", str(terms.seed)),
            *("--api-key-env", "THIRDRING_LOCAL_MODEL_KEY"),
            *(("--speech",) if terms.speech else ()),
        )
        return replace(part, argv=argv)
    if part.name == "worker":
        # The others warm up beside the first calls: that is what a restart is like.
        ready = all_of(
            answers_http(f"http://{LOOPBACK}:{ports.worker}/worker"),
            says(log, "registered worker"),
            says(log, "process initialized"),
        )
        if not terms.plain:
            return replace(part, ready=ready)
        argv = (sys.executable, "-u", "bench/stock_agent.py", "start")
        env = {**part.env, "STOCK_IDLE": str(terms.idle)}
        return replace(part, ready=ready, argv=argv, env=env)
    if part.name == "courier":
        return replace(part, ready=says(log, "courier ready"))
    return part
