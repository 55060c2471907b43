"""Whatever a LiveKit project holds, the plan leads to what is wanted, and only there."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sip.provision.conflicts import claims, rule_claims
from sip.provision.planning import plan
from sip.provision.values import OURS, Action, Kind, Rule, Trunk, Verb, Wanted, World, is_ours
from sip.provision.wanted import wanted
from tests.samples import business
from thirdring.settings import Line, Settings
from thirdring.settings import Trunk as Configured

NUMBERS = ("+12025550141", "+12025550142", "+12025550143", "+12025550144")
CALLERS = ("+12025550198", "+12025550199")
NAMES = ("a", "b", "c", "d")


@dataclass
class LiveKit:
    """What livekit-server keeps and refuses (`service/sip.go`, `sip.ValidateTrunksIter`)."""

    trunks: dict[str, Trunk] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    made: int = 0

    @property
    def world(self) -> World:
        return World(tuple(self.trunks.values()), tuple(self.rules.values()))

    def do(self, action: Action) -> None:
        if action.kind is Kind.TRUNK:
            self._trunk(action)
        else:
            self._rule(action)

    def _trunk(self, action: Action) -> None:
        if action.verb is Verb.DELETE:
            del self.trunks[action.id or ""]
            return
        assert isinstance(action.info, Trunk)
        trunk = Trunk()
        trunk.CopyFrom(action.info)
        assert bool(trunk.sip_trunk_id) == (action.verb is Verb.UPDATE)
        identifier = action.id or self._next("ST")
        for other, present in self.trunks.items():
            assert other == identifier or not claims(trunk) & claims(present)
        trunk.sip_trunk_id = identifier
        self.trunks[identifier] = trunk

    def _rule(self, action: Action) -> None:
        if action.verb is Verb.DELETE:
            del self.rules[action.id or ""]
            return
        assert isinstance(action.info, Rule)
        rule = Rule()
        rule.CopyFrom(action.info)
        ours = sorted(i for i, trunk in self.trunks.items() if trunk.name == action.name)
        rule.trunk_ids[:] = ours[:1]
        identifier = action.id or self._next("SDR")
        for other, present in self.rules.items():
            assert other == identifier or not rule_claims(rule) & rule_claims(present)
        rule.sip_dispatch_rule_id = identifier
        self.rules[identifier] = rule

    def _next(self, kind: str) -> str:
        # Ids are random: what comes later need not sort later.
        self.made += 1
        return f"{kind}_{self.made * 7919 % 1000:03}"


def named(number_of_trunks: int = 1) -> Settings:
    lines = tuple(Line(number=n, workflow="patient_questions") for n in NUMBERS)
    return Settings(
        businesses=(business().model_copy(update={"lines": lines}),),
        trunks=tuple(
            Configured(name=NAMES[i], lines=(NUMBERS[i],)) for i in range(number_of_trunks)
        ),
    )


@st.composite
def settings(draw: st.DrawFn) -> Settings:
    """Return trunks that share no line with the same callers, as `config_checks` demands."""
    chosen, trunks, taken = draw(st.sets(st.sampled_from(NAMES))), [], set[tuple[str, str]]()
    for name in sorted(chosen):
        numbers = draw(st.sets(st.sampled_from(NUMBERS), min_size=1))
        callers = draw(st.sets(st.sampled_from(CALLERS)))
        claimed = {(n, c) for n in numbers for c in callers or CALLERS}
        if not claimed & taken:
            taken |= claimed
            trunks.append(
                Configured(
                    name=name,
                    lines=tuple(sorted(numbers)),
                    allowed_numbers=tuple(sorted(callers)),
                    auth_username=draw(st.sampled_from([None, "riverside"])),
                )
            )
    return named(0).model_copy(update={"trunks": tuple(trunks)})


@st.composite
def projects(draw: st.DrawFn) -> LiveKit:
    """Return what earlier applies, other people and races may have left."""
    livekit = LiveKit()
    for action in plan(World(), goal(draw(settings()))).actions:
        livekit.do(action)
    names = [*(OURS + name for name in NAMES), OURS + "gone", "Twilio", "", "thirdring"]
    for _ in range(draw(st.integers(0, 3))):
        numbers = draw(st.lists(st.sampled_from(NUMBERS), unique=True, max_size=3))
        callers = draw(st.lists(st.sampled_from(CALLERS), unique=True, max_size=1))
        name = draw(st.sampled_from(names))
        trunk = Trunk(name=name, numbers=numbers, allowed_numbers=callers, metadata="theirs")
        if all(not claims(trunk) & claims(other) for other in livekit.trunks.values()):
            trunk.sip_trunk_id = livekit._next("ST")
            livekit.trunks[trunk.sip_trunk_id] = trunk
            if is_ours(trunk) and draw(st.booleans()):
                copy = Trunk()
                copy.CopyFrom(trunk)
                copy.sip_trunk_id = livekit._next("ST")
                livekit.trunks[copy.sip_trunk_id] = copy
    led = {trunk_id for rule in livekit.rules.values() for trunk_id in rule.trunk_ids}
    free = [trunk_id for trunk_id in (*livekit.trunks, "ST_gone") if trunk_id not in led]
    for _ in range(draw(st.integers(0, min(2, len(free))))):
        trunk_id = free.pop(draw(st.integers(0, len(free) - 1)))
        rule = Rule(
            sip_dispatch_rule_id=livekit._next("SDR"),
            name=draw(st.sampled_from(names)),
            trunk_ids=[trunk_id],
            hide_phone_number=draw(st.booleans()),
        )
        livekit.rules[rule.sip_dispatch_rule_id] = rule
    return livekit


def goal(configured: Settings) -> tuple[Wanted, ...]:
    return wanted(configured, {}) if configured.trunks else ()


def foreign(world: World) -> World:
    return World(
        tuple(trunk for trunk in world.trunks if not trunk.name.startswith("thirdring/")),
        tuple(rule for rule in world.rules if not rule.name.startswith("thirdring/")),
    )


def ids(world: World) -> list[str]:
    trunks = [trunk.sip_trunk_id for trunk in world.trunks]
    return trunks + [rule.sip_dispatch_rule_id for rule in world.rules]


@hypothesis_settings(max_examples=100)
@given(livekit=projects(), configured=settings(), stop=st.integers(0, 8))
def test_a_plan_leads_to_what_is_wanted_or_names_conflicts(
    livekit: LiveKit, configured: Settings, stop: int
) -> None:
    """LiveKit accepts each step in its order, also after an interruption; or nothing is done."""
    before, todo = foreign(livekit.world), plan(livekit.world, goal(configured))
    if todo.conflicts:
        assert todo.actions == ()
        for conflict in todo.conflicts:
            assert conflict.ours.startswith('"thirdring/')
            assert any(f"({identifier})" in conflict.theirs for identifier in ids(before))
        return
    for action in todo.actions[:stop]:
        livekit.do(action)
    for action in plan(livekit.world, goal(configured)).actions:
        livekit.do(action)
    after = plan(livekit.world, goal(configured))
    assert (after.actions, after.kept) == ((), 2 * len(configured.trunks))
    assert foreign(livekit.world) == before


@hypothesis_settings(max_examples=30)
@given(livekit=projects())
def test_destroying_takes_all_of_ours_and_nothing_else(livekit: LiveKit) -> None:
    """What stays is what others made."""
    before = foreign(livekit.world)
    for action in plan(livekit.world, ()).actions:
        livekit.do(action)
    assert livekit.world == before


MASK = "203.0.113.0/24"


@pytest.mark.parametrize(
    ("other", "callers", "addresses", "found"),
    [
        ({"numbers": [NUMBERS[0]]}, (), (), True),
        ({"numbers": ["1 (202) 555-0141"]}, (), (), True),
        ({"numbers": [NUMBERS[0]], "allowed_addresses": ["198.51.100.7"]}, (), (MASK,), True),
        ({"numbers": [NUMBERS[1]]}, (), (), False),
        ({"numbers": []}, (), (), False),
        ({"numbers": [NUMBERS[0]], "allowed_numbers": [CALLERS[0]]}, (CALLERS[1],), (), False),
        ({"numbers": [NUMBERS[0]], "allowed_numbers": [CALLERS[0]]}, (CALLERS[0],), (), True),
        # Accepted by LiveKit, which then refuses the calls that fit both.
        ({"numbers": [NUMBERS[0]], "allowed_numbers": [CALLERS[0]]}, (), (), True),
        (
            {
                "numbers": [NUMBERS[0]],
                "allowed_numbers": [CALLERS[0]],
                "allowed_addresses": ["198.51.100.7"],
            },
            (),
            (MASK,),
            False,
        ),
        (
            {
                "numbers": [NUMBERS[0]],
                "allowed_numbers": [CALLERS[0]],
                "allowed_addresses": ["203.0.113.9", "sip.example"],
            },
            (),
            (MASK,),
            True,
        ),
    ],
)
def test_a_conflict_is_what_livekit_cannot_tell_apart(
    other: dict[str, object], callers: tuple[str, ...], addresses: tuple[str, ...], found: bool
) -> None:
    """Number and caller tell trunks apart, addresses only where LiveKit looks at them."""
    ours = Configured.model_validate(
        {
            "name": "a",
            "lines": NUMBERS[:1],
            "allowed_numbers": callers,
            "allowed_addresses": addresses,
        }
    )
    world = World((Trunk(name="Twilio", sip_trunk_id="ST_1", **other),))  # type: ignore[arg-type]  # any field
    conflicts = plan(world, goal(named().model_copy(update={"trunks": (ours,)}))).conflicts
    assert bool(conflicts) == found


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, True),
        ({"trunk_ids": []}, False),
        ({"trunk_ids": ["ST_2"]}, False),
        ({"numbers": [NUMBERS[0]]}, False),
        ({"inbound_numbers": [CALLERS[0]]}, False),
    ],
)
def test_another_rule_for_all_calls_of_our_trunk_is_a_conflict(
    more: dict[str, object], found: bool
) -> None:
    """LiveKit has one rule for each trunk, number, caller and PIN; ours names the trunk alone."""
    livekit = LiveKit()
    for action in plan(World(), goal(named())).actions:
        livekit.do(action)
    (trunk_id,) = livekit.trunks
    rule = Rule(name="lobby", sip_dispatch_rule_id="SDR_9", **{"trunk_ids": [trunk_id], **more})  # type: ignore[arg-type]  # any field
    livekit.rules["SDR_9"] = rule
    assert bool(plan(livekit.world, goal(named())).conflicts) == found


def test_a_password_under_stars_is_not_compared() -> None:
    """Where a server shows stars in its place, a second apply still changes nothing."""
    secret = Configured.model_validate(
        {"name": "a", "lines": NUMBERS[:1], "auth_username": "u", "auth_password": "p-a-s-s"}
    )
    configured, livekit = named().model_copy(update={"trunks": (secret,)}), LiveKit()
    for action in plan(World(), goal(configured)).actions:
        livekit.do(action)
        assert "p-a-s-s" not in repr(action)
    (trunk,) = livekit.trunks.values()
    trunk.auth_password = "****"
    assert plan(livekit.world, goal(configured)).actions == ()
    trunk.auth_password = ""
    assert len(plan(livekit.world, goal(configured)).actions) == 1


def test_one_plan_is_enough_to_swap_numbers() -> None:
    """The trunk that has to be made anew takes its rule along."""
    livekit, before = LiveKit(), named(2)
    first, second = before.trunks
    swapped = (
        first.model_copy(update={"lines": second.lines}),
        second.model_copy(update={"lines": first.lines}),
    )
    after = before.model_copy(update={"trunks": swapped})
    for configured in (before, after):
        for action in plan(livekit.world, goal(configured)).actions:
            livekit.do(action)
    assert plan(livekit.world, goal(after)).actions == ()
