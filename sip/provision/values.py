"""What the steps of provisioning hand to each other: what there is, what is wanted, what to do.

Trunks and rules stay LiveKit's own messages. What others set on ours, such as header mappings, is
thereby kept: we compare and write the fields of `trunk_fields` and `rule_fields`, and no other.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from livekit import api

from thirdring import AGENT_NAME

__all__ = [
    "OURS",
    "Action",
    "Change",
    "Conflict",
    "Kind",
    "Plan",
    "Rule",
    "Trunk",
    "Value",
    "Verb",
    "Wanted",
    "World",
    "is_ours",
    "normal",
    "rule_fields",
    "trunk_fields",
]

OURS: Final = f"{AGENT_NAME}/"
"""Begins the names of our trunks and rules. It is the agent's name that they lead to, so that of
two agents in one LiveKit project neither takes the other's away."""

Trunk = api.SIPInboundTrunkInfo
Rule = api.SIPDispatchRuleInfo
Value = str | int | bool | tuple[str, ...]

_NUMBER: Final = re.compile(r"\+?[\d\- ()]+", re.ASCII)


class Kind(StrEnum):
    """What LiveKit calls them."""

    TRUNK = "trunk"
    RULE = "dispatch rule"


class Verb(StrEnum):
    """What happens to one of them."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True)
class World:
    """All that a LiveKit project has, ours and others'."""

    trunks: tuple[Trunk, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """A trunk of ours and the rule of the same name, which still lacks the trunk's id."""

    trunk: Trunk
    rule: Rule

    @property
    def name(self) -> str:
        return self.trunk.name


@dataclass(frozen=True)
class Change:
    """One field, in words that anybody may see.

    Attributes:
        name: LiveKit's own name for it.
        old: None for what is made anew.
    """

    name: str
    old: Value | None
    new: Value


@dataclass(frozen=True)
class Action:
    """One request to LiveKit.

    Attributes:
        name: Of trunk or rule; a rule has the name of its trunk.
        id: LiveKit's; None for what is made anew.
        info: What is sent; it may hold a password. A rule gets its trunk's id on the way.
    """

    verb: Verb
    kind: Kind
    name: str
    id: str | None = None
    changes: tuple[Change, ...] = ()
    info: Trunk | Rule | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Conflict:
    """Two that claim the same calls.

    Attributes:
        ours: Our trunk or rule, as people may read it: name and id.
        theirs: The other one.
        numbers: Those that both claim.
        reason: Why LiveKit cannot tell them apart, and what would mend it.
    """

    kind: Kind
    ours: str
    theirs: str
    numbers: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        claimed = ", ".join(self.numbers)
        return (
            f"{self.kind} {self.ours} and {self.kind} {self.theirs} both claim {claimed}: "
            f"{self.reason}"
        )


@dataclass(frozen=True)
class Plan:
    """What would make LiveKit match the configuration.

    Attributes:
        actions: In the order in which LiveKit accepts them; none while there are conflicts.
        kept: How many of ours are as they should be.
    """

    actions: tuple[Action, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    kept: int = 0


def is_ours(info: Trunk | Rule) -> bool:
    """Tell by the name alone; LiveKit has no other mark that people see."""
    return info.name.startswith(OURS)


def normal(number: str) -> str:
    """Return a number as LiveKit compares it (livekit/protocol, `NormalizeNumber`)."""
    if not _NUMBER.fullmatch(number):
        return number
    return "+" + re.sub(r"[+\- ()]", "", number)


def trunk_fields(trunk: Trunk) -> dict[str, Value]:
    """Return the fields of a trunk that are ours to set, comparable and with the password."""
    return {
        "numbers": _sorted(map(normal, trunk.numbers)),
        "allowed_addresses": _sorted(map(_network, trunk.allowed_addresses)),
        "allowed_numbers": _sorted(map(normal, trunk.allowed_numbers)),
        "auth_username": trunk.auth_username,
        "auth_password": trunk.auth_password,
        "ringing_timeout": trunk.ringing_timeout.seconds,
        "max_call_duration": trunk.max_call_duration.seconds,
        "krisp_enabled": trunk.krisp_enabled,
    }


def rule_fields(rule: Rule, names: Mapping[str, str]) -> dict[str, Value]:
    """Return the fields of a rule that are ours to set, comparable.

    Args:
        names: Of trunks, by id, so that people can read them.
    """
    return {
        "trunks": _sorted(names.get(trunk, trunk) for trunk in rule.trunk_ids),
        "rule": _spelled(rule.rule),
        "agents": _sorted(map(_agent, rule.room_config.agents)),
        # With any of these set a call would not arrive, or without its numbers.
        "numbers": _sorted(rule.numbers),
        "inbound_numbers": _sorted(rule.inbound_numbers),
        "hide_phone_number": rule.hide_phone_number,
        "krisp_enabled": rule.krisp_enabled,
    }


def _sorted(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text  # LiveKit takes the names of hosts as well


def _spelled(rule: api.SIPDispatchRule) -> str:
    kind = rule.WhichOneof("rule")
    if kind != "dispatch_rule_individual":
        return kind.removeprefix("dispatch_rule_") if kind else "none"
    individual = rule.dispatch_rule_individual
    return (
        f"a room for each call, {individual.room_prefix}_<caller>"
        + ("" if individual.no_randomness else "_<random>")
        + (" with a PIN" if individual.pin else "")
    )


def _agent(agent: api.RoomAgentDispatch) -> str:
    plain = api.RoomAgentDispatch(agent_name=agent.agent_name) == agent
    return agent.agent_name if plain else f"{agent.agent_name} with settings of its own"
