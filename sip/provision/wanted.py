"""The trunks and rules that `thirdring.yaml` asks for, as LiveKit wants to hear of them.

Rooms and participants come out as the gateway makes them: one room `call-_<caller>_<random>` for
each call, our agent dispatched into it, and nobody's number hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from livekit import api

from sip.provision.values import OURS, Wanted
from thirdring import AGENT_NAME
from thirdring.settings import Settings, Trunk
from thirdring.workflow import Workflow

__all__ = ["ROOM_PREFIX", "wanted", "warnings"]

ROOM_PREFIX: Final = "call-"
_DEFAULT: Final = "default"

# A worker answers within half a second. A caller whom none takes would hear LiveKit SIP ring for
# three minutes; refused, the provider can try its next route.
_RINGING_SECONDS: Final = 10
# A call whose worker died would keep billing for LiveKit SIP's 24 hours. Well after the agent's own
# time limit, which it announces.
_LONGER_MINUTES: Final = 5
_LONGEST_MINUTES: Final = 240


def wanted(settings: Settings, workflows: Mapping[str, Workflow]) -> tuple[Wanted, ...]:
    """Return what should be there; a single trunk with all lines when the file names none."""
    return tuple(
        Wanted(_trunk(trunk, _limit(settings, trunk, workflows)), _rule(trunk))
        for trunk in _trunks(settings)
    )


def warnings(settings: Settings) -> list[str]:
    """Return what works but should not stay as it is, one line each."""
    found = []
    trunks = _trunks(settings)
    for trunk in trunks:
        if any(network.prefixlen == 0 for network in trunk.allowed_addresses):
            found.append(f"trunk {trunk.name}: allowed_addresses lets every address in")
        elif not trunk.allowed_addresses and not trunk.auth_username:
            found.append(
                f"trunk {trunk.name} has neither allowed_addresses nor auth_username: whoever "
                "reaches LiveKit SIP may call its lines"
            )
    reached = {line for trunk in trunks for line in trunk.lines}
    found += [
        f"line {number} is in no trunk: LiveKit SIP does not take its calls"
        for number in _numbers(settings)
        if number not in reached
    ]
    return found


def _trunks(settings: Settings) -> tuple[Trunk, ...]:
    return settings.trunks or (Trunk(name=_DEFAULT, lines=_numbers(settings)),)


def _numbers(settings: Settings) -> tuple[str, ...]:
    return tuple(line.number for business in settings.businesses for line in business.lines)


def _limit(settings: Settings, trunk: Trunk, workflows: Mapping[str, Workflow]) -> int:
    """Return seconds after which a call of this trunk cannot be meant to go on."""
    names = {found[1].workflow for number in trunk.lines if (found := settings.find(number))}
    limits = (
        workflows[name].time_limit_minutes if name in workflows else _LONGEST_MINUTES
        for name in names
    )
    return 60 * (max(limits, default=_LONGEST_MINUTES) + _LONGER_MINUTES)


def _trunk(trunk: Trunk, limit: int) -> api.SIPInboundTrunkInfo:
    info = api.SIPInboundTrunkInfo(
        name=OURS + trunk.name,
        numbers=trunk.lines,
        allowed_addresses=[str(network) for network in trunk.allowed_addresses],
        allowed_numbers=trunk.allowed_numbers,
        auth_username=trunk.auth_username or "",
        auth_password=trunk.auth_password.get_secret_value() if trunk.auth_password else "",
        krisp_enabled=False,
    )
    info.ringing_timeout.seconds = _RINGING_SECONDS
    info.max_call_duration.seconds = limit
    return info


def _rule(trunk: Trunk) -> api.SIPDispatchRuleInfo:
    individual = api.SIPDispatchRuleIndividual(room_prefix=ROOM_PREFIX)
    return api.SIPDispatchRuleInfo(
        name=OURS + trunk.name,
        rule=api.SIPDispatchRule(dispatch_rule_individual=individual),
        room_config=api.RoomConfiguration(agents=[api.RoomAgentDispatch(agent_name=AGENT_NAME)]),
        krisp_enabled=False,
    )
