"""Makes LiveKit's inbound trunks and dispatch rules match `thirdring.yaml`.

    async def plan(settings: Settings, access: LiveKitAccess, *, destroy: bool = False) -> Plan
    async def apply(settings, access, *, destroy=False, tell: Callable[[Action], None]=...) -> Plan

Both list what there is, match ours by name (`thirdring/<trunk>`) and find what differs; `apply`
carries it out and looks again. Trunks and rules of others are read and never changed.
"""

from sip.provision.applying import Conflicting, apply, plan
from sip.provision.command import Command, run_apply, run_plan
from sip.provision.server import ProvisionError
from sip.provision.values import Action, Conflict, Plan

__all__ = [
    "Action",
    "Command",
    "Conflict",
    "Conflicting",
    "Plan",
    "ProvisionError",
    "apply",
    "plan",
    "run_apply",
    "run_plan",
]
