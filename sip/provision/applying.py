"""Reads what is there, plans, carries out, and looks again until nothing is left to do."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sip.provision.planning import plan as planned
from sip.provision.server import ProvisionError, Refused, Server, connected
from sip.provision.values import Action, Conflict, Kind, Plan, Rule, Verb, Wanted, World, is_ours
from sip.provision.wanted import wanted
from thirdring import workflow
from thirdring.access import LiveKitAccess
from thirdring.settings import Settings

__all__ = ["Conflicting", "apply", "plan"]

# One is usual, and one to see that it is done. More are for those who apply at the same moment.
_ROUNDS: Final = 6
_LONGEST_PAUSE: Final = 0.3
_ID: Final = re.compile(r"\b(?:ST|SDR)_\w+")


class Conflicting(ProvisionError):
    """Nothing was written, because others claim the same calls.

    Attributes:
        conflicts: All of them.
    """

    def __init__(self, conflicts: tuple[Conflict, ...]) -> None:
        self.conflicts = conflicts
        super().__init__("\n".join(map(str, conflicts)))


async def plan(settings: Settings, access: LiveKitAccess, *, destroy: bool = False) -> Plan:
    """Return what `apply` would do, and the conflicts that would keep it from doing so.

    Args:
        destroy: Take all of ours away instead.

    Raises:
        ProvisionError: LiveKit cannot be asked; says why.
    """
    async with connected(access) as server:
        return planned(await server.read(), _wanted(settings, destroy=destroy))


async def apply(
    settings: Settings,
    access: LiveKitAccess,
    *,
    destroy: bool = False,
    tell: Callable[[Action], None] = lambda _: None,
) -> Plan:
    """Make LiveKit's inbound trunks and dispatch rules match the settings.

    It may be interrupted and repeated, and run at the same moment as another of its kind.

    Args:
        destroy: Take all of ours away instead.
        tell: Hears of each action once it is done.

    Returns:
        Everything that was done; no actions when nothing was to do.

    Raises:
        Conflicting: Others claim the same calls.
        ProvisionError: LiveKit cannot be asked, or refuses; says why. What `tell` heard is done.
    """
    goal = _wanted(settings, destroy=destroy)
    done: list[Action] = []

    def finished(action: Action) -> None:
        done.append(action)
        tell(action)

    async with connected(access) as server:
        refusal: _Refusal | None = None
        for attempt in range(_ROUNDS):
            if attempt > 1:
                # Of those who change the same things, one gets ahead.
                await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))
            world = await server.read()
            todo = planned(world, goal)
            if todo.conflicts:
                raise Conflicting(todo.conflicts)
            if not todo.actions:
                return replace(todo, actions=tuple(done))
            before = refusal
            refusal = await _carry_out(server, todo.actions, world, finished)
            # Once may be the work of someone else at the same moment, who has it right by now.
            if refusal and refusal == before:
                raise ProvisionError(_with_names(refusal.reason, world))
    left = ", ".join(f"{action.kind} {action.name}" for action in todo.actions)
    raise ProvisionError(
        f"LiveKit does not stay as it was made ({left}): does another `sip apply`, with another "
        "configuration, run at the same time? Run this one again"
    )


@dataclass(frozen=True)
class _Refusal:
    action: Action
    reason: str


async def _carry_out(
    server: Server, actions: Iterable[Action], world: World, finished: Callable[[Action], None]
) -> _Refusal | None:
    """Do one after the other, up to the first that LiveKit does not want."""
    # Of several with one name, the one with the lowest id stays.
    ours = sorted(filter(is_ours, world.trunks), key=lambda trunk: trunk.sip_trunk_id)
    trunks = {trunk.name: trunk.sip_trunk_id for trunk in reversed(ours)}
    for action in actions:
        try:
            identifier = await server.do(_leading(action, trunks))
        except Refused as error:
            return _Refusal(action, str(error))
        if action.kind is Kind.TRUNK and action.verb is not Verb.DELETE:
            trunks[action.name] = identifier
        finished(replace(action, id=identifier))
    return None


def _leading(action: Action, trunks: Mapping[str, str]) -> Action:
    """Return the action with the id of its trunk, if it makes or changes a rule."""
    if not isinstance(action.info, Rule):
        return action
    rule = Rule()
    rule.CopyFrom(action.info)
    rule.trunk_ids[:] = [trunks[action.name]]
    return replace(action, info=rule)


def _wanted(settings: Settings, *, destroy: bool) -> tuple[Wanted, ...]:
    return () if destroy else wanted(settings, workflow.discover())


def _with_names(reason: str, world: World) -> str:
    """Return LiveKit's words, with the name beside each id."""
    names = {trunk.sip_trunk_id: trunk.name for trunk in world.trunks}
    names |= {rule.sip_dispatch_rule_id: rule.name for rule in world.rules}

    def named(match: re.Match[str]) -> str:
        name = names.get(match[0])
        return f"{match[0]} ({name})" if name else match[0]

    return _ID.sub(named, reason)
