"""Prior authorisation: calls a payer, gets through its menu, and asks a person for the decision."""

from __future__ import annotations

from thirdring.roles import Roles
from thirdring.settings import TurnTaking
from thirdring.workflow import AgentPart, Workflow
from tools import calls, far_end, guardrails, keypad, prior_authorizations

__all__ = ["workflow"]

workflow = Workflow(
    name="prior_auth",
    direction="outbound",
    turn_taking=TurnTaking(kind="server_vad", threshold=0.5, silence_ms=700),
    roles=Roles(main="realtime", classifier=far_end.WHO_IS_THERE),
    tools=(keypad.press_keys, far_end.keep_waiting, calls.end_call),
    greeting="",
    guardrails=guardrails.USUAL,
    outcome=prior_authorizations.PriorAuthorization,
    errand=prior_authorizations.PriorAuthorizationRequest,
    hands_over_to=("representative",),
    agents=(
        AgentPart(
            name="representative",
            when="as soon as a person speaks, and not before",
            tools=(
                prior_authorizations.note_decision,
                far_end.keep_waiting,
                calls.end_call,
            ),
            hands_over_to=("main",),
            opening=(
                'Say exactly this, word for word: "Hello, this is a virtual assistant calling for '
                "{{ provider_name }} about a prior authorization. May I give you the member "
                'number?"'
            ),
        ),
    ),
    time_limit_minutes=60,
)
