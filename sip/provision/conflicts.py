"""Which trunks and rules claim the same calls, by what LiveKit tells them apart by.

LiveKit accepts one trunk for each pair of a number and a caller, "any caller" being a caller of its
own; of rules one for each trunk, caller, number and PIN (livekit/protocol, `sip.ValidateTrunksIter`
and `ValidateDispatchRulesIter`). Worse is what it accepts and then refuses call by call: two trunks
that both fit a call (`MatchTrunkDetailed`), as when one names its callers and the other does not,
or when an update brings a number that another trunk has, which it does not look for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain, combinations, product
from typing import Final

from sip.provision.values import Conflict, Kind, Rule, Trunk, Wanted, World, is_ours, normal

__all__ = ["Claim", "claims", "conflicts", "rule_claims"]

Claim = tuple[str, ...]

_REFUSED: Final = (
    "LiveKit takes one trunk for a number and a caller, wherever the call comes from. Take the "
    "number out of one of them, delete the one that nobody needs, or give both allowed_numbers "
    "without a common one"
)
_AMBIGUOUS: Final = (
    "LiveKit would refuse the calls that fit both. Take the number out of one of them, delete the "
    "one that nobody needs, or give both allowed_numbers without a common one"
)
_SAME_TRUNK: Final = (
    "LiveKit takes one rule for all calls of a trunk. Delete the one that nobody needs"
)


def claims(trunk: Trunk) -> frozenset[Claim]:
    """Return the pairs of number and caller of which LiveKit lets each have one trunk only."""
    callers = [normal(number) for number in trunk.allowed_numbers] or [""]
    numbers = [normal(number) for number in trunk.numbers] or [""]
    return frozenset(product(numbers, callers))


def rule_claims(rule: Rule) -> frozenset[Claim]:
    """Return the tuples of trunk, number, caller and PIN of which LiveKit lets each have one."""
    kind = rule.rule.WhichOneof("rule")
    pin = getattr(rule.rule, kind).pin if kind else ""
    numbers = [normal(number) for number in rule.numbers] or [""]
    callers = [normal(number) for number in rule.inbound_numbers] or [""]
    return frozenset(product(rule.trunk_ids or [""], numbers, callers, [pin]))


def conflicts(world: World, wanted: Sequence[Wanted], ids: Mapping[str, str]) -> Iterator[Conflict]:
    """Find each pair of ours and another's that claim the same calls, and each pair of ours.

    Args:
        ids: Of those of our trunks that will stay, by name.
    """
    ours = [(each.trunk, _numbers(each.trunk)) for each in wanted]
    foreign = [(trunk, _numbers(trunk)) for trunk in world.trunks if not is_ours(trunk)]
    for (one, numbers), (other, others) in chain(combinations(ours, 2), product(ours, foreign)):
        shared = numbers & others
        if shared and (found := _between(one, other, shared, ids)):
            yield found
    for each in wanted:
        yield from _rules(each, world.rules, ids)


def _between(
    ours: Trunk, other: Trunk, shared: Set[str], ids: Mapping[str, str]
) -> Conflict | None:
    same = claims(ours) & claims(other)
    if same:
        numbers, reason = {number for number, *_ in same}, _REFUSED
    else:
        numbers, reason = {*shared}, _AMBIGUOUS
        told_apart = (ours.allowed_numbers and other.allowed_numbers) or not _meet(
            ours.allowed_addresses, other.allowed_addresses
        )
        if told_apart:
            return None
    return Conflict(
        Kind.TRUNK,
        _called(ours.name, ids.get(ours.name, "")),
        _called(other.name, other.sip_trunk_id or ids.get(other.name, "")),
        tuple(sorted(numbers)),
        reason,
    )


def _numbers(trunk: Trunk) -> frozenset[str]:
    return frozenset(map(normal, trunk.numbers))


def _meet(some: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether a call may come from an address of both; none listed is every address."""
    some, others = [*some], [*others]
    if not some or not others:
        return True
    try:
        networks = [
            [ipaddress.ip_network(t, strict=False) for t in each] for each in (some, others)
        ]
    except ValueError:
        return True  # the name of a host, which callers give themselves
    return any(
        one.version == other.version and one.overlaps(other)
        for one in networks[0]
        for other in networks[1]
    )


def _rules(each: Wanted, rules: Iterable[Rule], ids: Mapping[str, str]) -> Iterator[Conflict]:
    claimed = (ids.get(each.name, each.name), "", "", "")
    ours = next((rule.sip_dispatch_rule_id for rule in rules if rule.name == each.name), "")
    for rule in rules:
        if not is_ours(rule) and claimed in rule_claims(rule):
            yield Conflict(
                Kind.RULE,
                _called(each.name, ours),
                _called(rule.name, rule.sip_dispatch_rule_id),
                tuple(sorted(map(normal, each.trunk.numbers))),
                _SAME_TRUNK,
            )


def _called(name: str, identifier: str) -> str:
    return f'"{name or "without a name"}" ({identifier or "new"})'
