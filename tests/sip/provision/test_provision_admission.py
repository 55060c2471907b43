"""What livekit-server says of calls, once all is applied, to whoever asks as livekit-sip does."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from sip import provision
from sip.gateway.invitation import CallStatus, invitation
from tests.peers.livekit_sip import Admission, Rejected, admit
from tests.samples import business
from tests.sip.provision.conftest import Project
from thirdring import AGENT_NAME
from thirdring.settings import Settings, Trunk

pytestmark = pytest.mark.server

LINE, CALLER, OTHER_CALLER = "+12025550142", "+12025550199", "+12025550198"
SECOND = "+12025550143"
INSIDE, OUTSIDE = "203.0.113.9", "198.51.100.7"
OFFICE = Trunk(name="office", lines=(LINE,), allowed_addresses=(ip_network("203.0.113.0/24"),))


def settings(*trunks: Trunk) -> Settings:
    return Settings(businesses=(business(),), trunks=trunks)


async def ask(
    project: Project, *, caller: str = CALLER, called: str = LINE, address: str = INSIDE
) -> Admission:
    return await admit(project.redis, caller=caller, called=called, address=address)


async def test_a_call_comes_as_the_gateway_would_bring_it(project: Project) -> None:
    """Same room, participant and attributes, our agent dispatched, whatever others have set up."""
    await project.make_trunk(name="every other number", allowed_addresses=["0.0.0.0/0"])
    await project.make_rule(name="every other trunk")
    await provision.apply(settings(OFFICE), project.access)
    call = await ask(project)
    by_gateway = invitation(
        LINE, peer=None, sip_call_id="1", headers={"From": f"<sip:{CALLER}@{INSIDE}>"}
    )
    shape = re.sub(r"[A-Za-z0-9]+$", "[A-Za-z0-9]{12}", by_gateway.room).replace("+", r"\+")
    ours = by_gateway.attributes(CallStatus.RINGING)
    ids = {"sip.callID", "sip.trunkID", "sip.ruleID"}
    assert call.accepted
    assert re.fullmatch(shape, call.room)
    assert (call.identity, call.name) == (by_gateway.identity, by_gateway.name)
    assert [agent.agent_name for agent in call.config.agents] == [AGENT_NAME]
    assert call.attributes.keys() <= ours.keys()
    assert {k: v for k, v in call.attributes.items() if k not in ids} == {
        k: ours[k] for k in ("sip.phoneNumber", "sip.trunkPhoneNumber", "sip.hostname")
    }


@pytest.mark.parametrize(
    ("call", "accepted"),
    [
        ({}, True),
        ({"called": LINE.removeprefix("+")}, True),
        ({"called": "+12025550177"}, False),
        ({"address": OUTSIDE}, False),
        ({"caller": OTHER_CALLER}, False),
    ],
    ids=["as configured", "without plus", "number", "address", "caller"],
)
async def test_only_calls_that_the_file_allows_come_in(
    project: Project, call: dict[str, str], accepted: bool
) -> None:
    """Number, address and caller must all be those of a trunk; the rest is dropped."""
    guarded = OFFICE.model_copy(update={"allowed_numbers": (CALLER,)})
    await provision.apply(settings(guarded), project.access)
    assert (await ask(project, **call)).accepted == accepted


async def test_destroyed_trunks_take_no_calls(project: Project) -> None:
    """Once ours are gone nobody comes in."""
    await provision.apply(settings(OFFICE), project.access)
    await provision.apply(settings(OFFICE), project.access, destroy=True)
    assert not (await ask(project)).accepted


async def test_a_caller_of_two_trunks_is_a_conflict_because_the_call_fails(
    project: Project,
) -> None:
    """LiveKit takes a trunk with callers beside one without, then refuses those callers."""
    await provision.apply(settings(OFFICE), project.access)
    foreign = await project.make_trunk(name="test", numbers=[LINE], allowed_numbers=[CALLER])
    with pytest.raises(Rejected, match="Multiple SIP Trunks matched"):
        await ask(project)
    assert (await ask(project, caller=OTHER_CALLER)).accepted
    (conflict,) = (await provision.plan(settings(OFFICE), project.access)).conflicts
    assert conflict.theirs == f'"test" ({foreign.sip_trunk_id})'
    assert conflict.numbers == (LINE,)


async def test_a_number_that_an_update_takes_from_another_is_a_conflict(project: Project) -> None:
    """LiveKit does not check the new numbers of an update, and then refuses their calls."""
    await provision.apply(settings(OFFICE), project.access)
    (ours,) = (await project.world()).trunks
    await project.make_trunk(name="Twilio", numbers=[SECOND])
    wider = settings(OFFICE.model_copy(update={"lines": (LINE, SECOND)}))
    with pytest.raises(provision.Conflicting, match="Twilio"):
        await provision.apply(wider, project.access)
    ours.numbers[:] = [SECOND]
    await project.live.sip.update_inbound_trunk(ours.sip_trunk_id, ours)
    with pytest.raises(Rejected, match="Multiple SIP Trunks matched"):
        await ask(project, called=SECOND)


async def test_addresses_tell_such_trunks_apart(project: Project) -> None:
    """Where no call can fit both there is no conflict, and every call comes in."""
    await project.make_trunk(
        name="test", numbers=[LINE], allowed_numbers=[CALLER], allowed_addresses=[OUTSIDE]
    )
    await provision.apply(settings(OFFICE), project.access)
    assert (await ask(project)).accepted
    # Theirs has no rule, but it is theirs that fits.
    assert not (await ask(project, address=OUTSIDE)).accepted
