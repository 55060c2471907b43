"""What it takes to make LiveKit match the configuration; nothing here talks to anybody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from sip.provision.conflicts import claims, conflicts
from sip.provision.values import (
    Action,
    Change,
    Kind,
    Plan,
    Rule,
    Trunk,
    Value,
    Verb,
    Wanted,
    World,
    is_ours,
    rule_fields,
    trunk_fields,
)

__all__ = ["plan"]

_Info = TypeVar("_Info", Trunk, Rule)
_Value = TypeVar("_Value", bound=Value | None)

_PASSWORD: Final = "auth_password"  # noqa: S105 - the name of the field


def plan(world: World, wanted: Sequence[Wanted]) -> Plan:
    """Return what to do, or the conflicts for which nothing may be done.

    Trunks and rules whose name is not ours are neither changed nor deleted. Where several of ours
    have one name, as two commands at the same moment can bring about, the one with the lowest id
    stays, so that both commands choose the same.
    """
    names = {each.name for each in wanted}
    trunks, spare_trunks = _chosen(world.trunks, names)
    rules, spare_rules = _chosen(world.rules, names)
    ids = {name: trunk.sip_trunk_id for name, trunk in trunks.items()}
    found = tuple(conflicts(world, wanted, ids))
    if found:
        return Plan(conflicts=found)
    removals = [*map(_delete, spare_rules), *map(_delete, spare_trunks)]
    trunk_actions = [*_trunk_actions(wanted, trunks)]
    made_anew = {a.name for a in trunk_actions if a.verb is Verb.CREATE}
    ids = {name: identifier for name, identifier in ids.items() if name not in made_anew}
    rule_actions = [*_rule_actions(wanted, rules, ids)]
    changed = {(a.kind, a.name) for a in trunk_actions + rule_actions}
    return Plan(
        actions=(*removals, *trunk_actions, *rule_actions),
        kept=2 * len(wanted) - len(changed),
    )


def _chosen(found: Iterable[_Info], names: set[str]) -> tuple[dict[str, _Info], list[_Info]]:
    """Return those of ours that stay, by name, and those that go."""
    kept: dict[str, _Info] = {}
    spare = []
    for info in sorted(filter(is_ours, found), key=_id):
        if info.name in names and info.name not in kept:
            kept[info.name] = info
        else:
            spare.append(info)
    return kept, spare


def _id(info: Trunk | Rule) -> str:
    return info.sip_trunk_id if isinstance(info, Trunk) else info.sip_dispatch_rule_id


def _trunk_actions(wanted: Sequence[Wanted], present: Mapping[str, Trunk]) -> Iterator[Action]:
    """Order them so that each number is free before another trunk takes it."""
    there, gone = dict(present), dict[str, Trunk]()
    pending = [each.trunk for each in wanted if _trunk_changes(each.trunk, there.get(each.name))]
    while pending:
        trunk = next((each for each in pending if not _blocker(each, there)), None)
        if trunk is None:
            # They wait for each other's numbers in a ring; one that goes opens it.
            name = _blocker(pending[0], there)
            gone[name] = there.pop(name)
            yield _delete(gone[name])
            continue
        pending.remove(trunk)
        old = there.get(trunk.name)
        info = _merged_trunk(old or gone.get(trunk.name), trunk)
        if old is None:
            info.ClearField("sip_trunk_id")
        verb, identifier = (Verb.UPDATE, old.sip_trunk_id) if old else (Verb.CREATE, None)
        yield Action(verb, Kind.TRUNK, trunk.name, identifier, _trunk_changes(trunk, old), info)
        there[trunk.name] = trunk


def _blocker(trunk: Trunk, there: Mapping[str, Trunk]) -> str:
    """Return which other trunk of ours still holds what this one claims; none: an empty name."""
    return next(
        (n for n, other in there.items() if n != trunk.name and claims(trunk) & claims(other)), ""
    )


def _rule_actions(
    wanted: Sequence[Wanted], present: Mapping[str, Rule], ids: Mapping[str, str]
) -> Iterator[Action]:
    # A trunk that is made anew has no name here: a rule that leads to its old id is out of date.
    names = {identifier: name for name, identifier in ids.items()}
    for each in wanted:
        new = {**rule_fields(each.rule, names), "trunks": (each.name,)}
        old = present.get(each.name)
        changes = _changes(rule_fields(old, names) if old else None, new)
        if changes:
            yield Action(
                Verb.UPDATE if old else Verb.CREATE,
                Kind.RULE,
                each.name,
                old.sip_dispatch_rule_id if old else None,
                changes,
                _merged_rule(old, each.rule),
            )


def _delete(info: Trunk | Rule) -> Action:
    kind = Kind.TRUNK if isinstance(info, Trunk) else Kind.RULE
    return Action(Verb.DELETE, kind, info.name, _id(info))


def _trunk_changes(new: Trunk, old: Trunk | None) -> tuple[Change, ...]:
    before, after = trunk_fields(old) if old else None, trunk_fields(new)
    if before and _covered(before[_PASSWORD]):
        before[_PASSWORD] = after[_PASSWORD]
    return tuple(
        replace(change, old=_cover(change.old), new=_cover(change.new))
        if change.name == _PASSWORD
        else change
        for change in _changes(before, after)
    )


def _changes(old: Mapping[str, Value] | None, new: Mapping[str, Value]) -> tuple[Change, ...]:
    if old is None:
        return tuple(Change(name, None, value) for name, value in new.items() if value)
    return tuple(
        Change(name, old[name], value) for name, value in new.items() if old[name] != value
    )


def _covered(password: Value) -> bool:
    """Tell whether a server shows stars in place of the password, which then cannot be compared."""
    return isinstance(password, str) and password != "" and not password.strip("*")


def _cover(password: _Value) -> _Value | str:
    return "***" if password else password


def _merged_trunk(old: Trunk | None, new: Trunk) -> Trunk:
    merged = Trunk()
    if old is not None:
        # An update replaces the whole, but what others set on our trunk is theirs to keep.
        merged.CopyFrom(old)
    for name in trunk_fields(new):
        merged.ClearField(name)
    merged.MergeFrom(new)
    return merged


def _merged_rule(old: Rule | None, new: Rule) -> Rule:
    merged = Rule()
    if old is not None:
        merged.CopyFrom(old)
    for name in (
        "trunk_ids",
        "rule",
        "numbers",
        "inbound_numbers",
        "hide_phone_number",
        "krisp_enabled",
    ):
        merged.ClearField(name)
    merged.room_config.ClearField("agents")
    merged.MergeFrom(new)
    return merged
