"""Trunks and rules at a real livekit-server with Redis become and stay what the settings say."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from ipaddress import ip_network

import pytest
from livekit import api
from pydantic import SecretStr

from sip import provision
from sip.provision.values import Action, World
from tests.peers.livekit_sip import Rejected, admit
from tests.samples import business
from tests.sip.provision.conftest import Project
from thirdring import AGENT_NAME
from thirdring.access import LiveKitAccess
from thirdring.settings import Line, Settings, Trunk

pytestmark = pytest.mark.server

FIRST, SECOND = "+12025550142", "+12025550143"
COPY = "ST_000000000000"
PASSWORD = "correct-horse-battery"
OFFICE = Trunk(name="office", lines=(FIRST,), allowed_addresses=(ip_network("203.0.113.0/24"),))
PROVIDER = Trunk(
    name="provider",
    lines=(SECOND,),
    auth_username="riverside",
    auth_password=SecretStr(PASSWORD),
)


def settings(*trunks: Trunk) -> Settings:
    lines = tuple(Line(number=n, workflow="patient_questions") for n in (FIRST, SECOND))
    return Settings(businesses=(business().model_copy(update={"lines": lines}),), trunks=trunks)


def done(plan: provision.Plan) -> list[str]:
    return [f"{action.verb} {action.kind} {action.name}" for action in plan.actions]


async def test_what_is_made_is_what_the_settings_say(project: Project) -> None:
    """Trunks have numbers and guards, rules dispatch our agent; a second time does nothing."""
    first = await provision.apply(settings(OFFICE, PROVIDER), project.access)
    world = await project.world()
    second = await provision.apply(settings(OFFICE, PROVIDER), project.access)
    trunks = {trunk.name: trunk for trunk in world.trunks}
    office, provider = trunks["thirdring/office"], trunks["thirdring/provider"]
    assert len(first.actions) == len(world.trunks) + len(world.rules) == 4
    assert (list(office.numbers), list(office.allowed_addresses)) == ([FIRST], ["203.0.113.0/24"])
    assert (provider.auth_username, provider.auth_password) == ("riverside", PASSWORD)
    assert {(rule.name, *rule.trunk_ids) for rule in world.rules} == {
        (trunk.name, trunk.sip_trunk_id) for trunk in world.trunks
    }
    assert {rule.room_config.agents[0].agent_name for rule in world.rules} == {AGENT_NAME}
    assert (second.actions, second.kept) == ((), 4)
    assert await project.world() == world


async def test_without_trunks_one_takes_every_line(project: Project) -> None:
    """A file that names no trunk gets a single one with all its numbers."""
    await provision.apply(settings(), project.access)
    (trunk,) = (await project.world()).trunks
    assert (trunk.name, list(trunk.numbers)) == ("thirdring/default", [FIRST, SECOND])


async def test_a_plan_writes_nothing(project: Project) -> None:
    """To look at what would change does not change it."""
    plan = await provision.plan(settings(OFFICE), project.access)
    assert done(plan) == ["create trunk thirdring/office", "create dispatch rule thirdring/office"]
    assert await project.world() == World()


async def test_a_changed_line_changes_its_trunk_alone(project: Project) -> None:
    """Only what differs is written, in place: ids stay, so do settings that others made on it."""
    await provision.apply(settings(OFFICE, PROVIDER), project.access)
    before = {trunk.name: trunk for trunk in (await project.world()).trunks}
    office = before["thirdring/office"]
    office.headers["X-Route"] = "east"
    await project.live.sip.update_inbound_trunk(office.sip_trunk_id, office)
    wider = OFFICE.model_copy(update={"allowed_numbers": ("+12025550199",)})
    plan = await provision.apply(settings(wider, PROVIDER), project.access)
    after = {trunk.name: trunk for trunk in (await project.world()).trunks}
    assert done(plan) == ["update trunk thirdring/office"]
    office.allowed_numbers.append("+12025550199")
    assert after == before


async def test_what_others_changed_on_ours_is_put_right(project: Project) -> None:
    """A rule that hides numbers, without which no call finds its line, and a lost password."""
    await provision.apply(settings(PROVIDER), project.access)
    world = await project.world()
    (trunk,), (rule,) = world.trunks, world.rules
    trunk.auth_password, rule.hide_phone_number = "", True
    await project.live.sip.update_inbound_trunk(trunk.sip_trunk_id, trunk)
    await project.live.sip.update_dispatch_rule(rule.sip_dispatch_rule_id, rule)
    plan = await provision.apply(settings(PROVIDER), project.access)
    assert [[change.name for change in action.changes] for action in plan.actions] == [
        ["auth_password"],
        ["hide_phone_number"],
    ]
    trunk.auth_password, rule.hide_phone_number = PASSWORD, False
    assert await project.world() == World((trunk,), (rule,))


async def test_trunks_can_swap_their_numbers(project: Project) -> None:
    """Though LiveKit lets no number be in two trunks, neither has to be deleted by hand."""
    await provision.apply(settings(OFFICE, PROVIDER), project.access)
    swapped = settings(
        OFFICE.model_copy(update={"lines": (SECOND,)}),
        PROVIDER.model_copy(update={"lines": (FIRST,)}),
    )
    await provision.apply(swapped, project.access)
    world = await project.world()
    names = {trunk.sip_trunk_id: trunk.name for trunk in world.trunks}
    assert {trunk.name: list(trunk.numbers) for trunk in world.trunks} == {
        "thirdring/office": [SECOND],
        "thirdring/provider": [FIRST],
    }
    assert [(rule.name, names[rule.trunk_ids[0]]) for rule in world.rules] == [
        (rule.name, rule.name) for rule in world.rules
    ]


async def test_rules_that_lead_to_each_others_trunk_are_put_right(project: Project) -> None:
    """LiveKit lets no trunk have two rules, so that neither rule could be changed first."""
    await provision.apply(settings(OFFICE, PROVIDER), project.access)
    office, provider = (await project.world()).rules
    (of_office,), (of_provider,) = office.trunk_ids, provider.trunk_ids
    identifier = provider.sip_dispatch_rule_id
    request = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=identifier)
    await project.live.sip.delete_dispatch_rule(request)
    office.trunk_ids[:] = [of_provider]
    await project.live.sip.update_dispatch_rule(office.sip_dispatch_rule_id, office)
    await project.make_rule(name=provider.name, trunk_ids=[of_office])
    await provision.apply(settings(OFFICE, PROVIDER), project.access)
    world = await project.world()
    names = {trunk.sip_trunk_id: trunk.name for trunk in world.trunks}
    assert [names[rule.trunk_ids[0]] for rule in world.rules] == [r.name for r in world.rules]
    assert len(world.rules) == 2


async def test_a_removed_trunk_goes_and_others_stay(project: Project) -> None:
    """What the file no longer names is taken away; what never was ours is as it was."""
    foreign = await project.make_trunk(name="Twilio", numbers=["+12025550177"])
    rule = await project.make_rule(name="Twilio", trunk_ids=[foreign.sip_trunk_id])
    everywhere = await project.make_rule(name="any trunk")
    await provision.apply(settings(OFFICE, PROVIDER), project.access)
    plan = await provision.apply(settings(OFFICE), project.access)
    left = await project.world()
    assert done(plan) == [
        "delete dispatch rule thirdring/provider",
        "delete trunk thirdring/provider",
    ]
    assert foreign in left.trunks
    assert rule in left.rules
    assert everywhere in left.rules
    assert len(left.trunks) == 2
    await provision.apply(settings(OFFICE), project.access, destroy=True)
    left = await project.world()
    assert left.trunks == (foreign,)
    assert {info.name for info in left.rules} == {"Twilio", "any trunk"}


async def test_a_foreign_trunk_with_our_number_stops_everything(project: Project) -> None:
    """Both sides are named with their ids and the number, and nothing is written."""
    foreign = await project.make_trunk(name="Twilio", numbers=["1 (202) 555-0143"])
    before = await project.world()
    with pytest.raises(provision.Conflicting) as caught:
        await provision.apply(settings(OFFICE, PROVIDER), project.access)
    assert str(caught.value).startswith(
        f'trunk "thirdring/provider" (new) and trunk "Twilio" ({foreign.sip_trunk_id}) both claim '
        f"{SECOND}: "
    )
    assert await project.world() == before
    # It is LiveKit's rule, not ours: made by hand, it is refused as well.
    with pytest.raises(api.ServerError, match="Conflicting inbound SIP Trunks"):
        await project.make_trunk(name="by hand", numbers=[SECOND])


async def test_a_foreign_rule_on_our_trunk_stops_everything(project: Project) -> None:
    """A rule that somebody else gave to our trunk is named beside ours."""
    await provision.apply(settings(OFFICE), project.access)
    (trunk,), (rule,) = (world := await project.world()).trunks, world.rules
    identifier = rule.sip_dispatch_rule_id
    request = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=identifier)
    await project.live.sip.delete_dispatch_rule(request)
    foreign = await project.make_rule(name="lobby", trunk_ids=[trunk.sip_trunk_id])
    with pytest.raises(provision.Conflicting) as caught:
        await provision.apply(settings(OFFICE), project.access)
    assert str(caught.value).startswith(
        f'dispatch rule "thirdring/office" (new) and dispatch rule "lobby" '
        f"({foreign.sip_dispatch_rule_id}) both claim {FIRST}: "
    )


async def test_livekits_own_refusal_names_both_sides(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What LiveKit refuses for a reason unknown to us comes in its words, with names beside ids."""
    foreign = await project.make_trunk(name="Twilio", numbers=[FIRST])
    monkeypatch.setattr("sip.provision.planning.conflicts", lambda *_: ())
    with pytest.raises(provision.ProvisionError) as caught:
        await provision.apply(settings(OFFICE), project.access)
    assert 'refuses to create the trunk "thirdring/office"' in str(caught.value)
    assert f'"{foreign.sip_trunk_id} (Twilio)"' in str(caught.value)


async def test_an_interrupted_apply_is_completed_by_the_next(project: Project) -> None:
    """After each step at which it can stop, the next one leads to the same end."""

    class Interrupted(BaseException):
        pass

    for steps in range(1, 5):
        await project.empty()
        seen: list[Action] = []

        def tell(action: Action, seen: list[Action] = seen, last: int = steps) -> None:
            seen.append(action)
            if len(seen) == last:
                raise Interrupted

        with pytest.raises(Interrupted):
            await provision.apply(settings(OFFICE, PROVIDER), project.access, tell=tell)
        rest = await provision.apply(settings(OFFICE, PROVIDER), project.access)
        assert (len(rest.actions), rest.kept) == (4 - steps, 4)


async def test_two_at_the_same_moment_come_to_one_end(project: Project) -> None:
    """However their requests interleave, there is one trunk and one rule of each name."""
    wanted = settings(OFFICE, PROVIDER)
    for _ in range(5):
        await project.empty()
        await asyncio.gather(*(provision.apply(wanted, project.access) for _ in range(2)))
        world = await project.world()
        assert [len(world.trunks), len(world.rules)] == [2, 2]
        assert (await provision.plan(wanted, project.access)).actions == ()


async def test_what_two_at_the_same_moment_left_twice_becomes_one(project: Project) -> None:
    """LiveKit checks, then writes: a trunk can get in twice, and then every call would fail."""
    await provision.apply(settings(OFFICE), project.access)
    (trunk,) = (await project.world()).trunks
    await twice(project, trunk)
    call = partial(admit, project.redis, caller="+12025550199", called=FIRST, address="203.0.113.9")
    with pytest.raises(Rejected, match="Multiple SIP Trunks matched"):
        await call()
    plan = await provision.apply(settings(OFFICE), project.access)
    assert done(plan) == ["delete trunk thirdring/office", "update dispatch rule thirdring/office"]
    assert (await call()).accepted
    world = await project.world()
    # Whoever else is at it must choose the same.
    assert [trunk.sip_trunk_id for trunk in world.trunks] == [COPY]
    assert [list(rule.trunk_ids) for rule in world.rules] == [[COPY]]


async def twice(project: Project, trunk: api.SIPInboundTrunkInfo) -> None:
    """Write a trunk once more, with a lower id, to where livekit-server keeps them."""
    copy = api.SIPInboundTrunkInfo()
    copy.CopyFrom(trunk)
    copy.sip_trunk_id = COPY
    parts = [b"HSET", b"sip_inbound_trunk", copy.sip_trunk_id.encode(), copy.SerializeToString()]
    reader, writer = await asyncio.open_connection(*project.redis)
    writer.write(b"*4\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
    assert await reader.readline() == b":1\r\n"
    writer.close()
    await writer.wait_closed()


async def test_a_server_without_redis_says_so(access: LiveKitAccess) -> None:
    """LiveKit keeps trunks in Redis; who has none is told, without its words for it."""
    with pytest.raises(provision.ProvisionError, match="has no SIP service, because it runs with"):
        await provision.plan(settings(OFFICE), access)


@pytest.mark.parametrize("field", ["api_key", "api_secret"])
async def test_foreign_keys_are_named(project: Project, field: str) -> None:
    """A key or a secret of another server is a wrong pair, which the message does not repeat."""
    other = "of-another-server-0123456789-0123456789"
    value = SecretStr(other) if field == "api_secret" else other
    with pytest.raises(provision.ProvisionError) as caught:
        await provision.plan(settings(OFFICE), project.access.model_copy(update={field: value}))
    assert "does not accept LIVEKIT_API_KEY and LIVEKIT_API_SECRET" in str(caught.value)
    assert other not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ws://127.0.0.1:9", "(Connection refused)"),
        ("livekit.example", "(no URL such as wss://example.livekit.cloud)"),
        ("{url}/elsewhere", "is no livekit-server (HTTP status 404)"),
    ],
)
async def test_a_wrong_url_is_told(project: Project, url: str, reason: str) -> None:
    """Nobody there, no URL at all, and something else that answers: each has its words."""
    access = project.access.model_copy(update={"url": url.format(url=project.access.url)})
    with pytest.raises(provision.ProvisionError) as caught:
        await provision.plan(settings(OFFICE), access)
    assert reason in str(caught.value)
    assert "LIVEKIT_URL" in str(caught.value)


async def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes the connection and never answers holds nobody for ever."""
    monkeypatch.setattr("sip.provision.server._SECONDS", 0.2)

    # The system takes the connection; nobody ever looks at it.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        access = LiveKitAccess(
            url=f"ws://{host}:{port}", api_key="key", api_secret=SecretStr("secret-" * 6)
        )
        with pytest.raises(provision.ProvisionError, match=r"did not answer within 0\.2 s"):
            await provision.plan(settings(OFFICE), access)
