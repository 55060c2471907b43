"""What it takes to make LiveKit match the configuration; nothing here talks to anybody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from sip.provision.conflicts import Claim, claims, conflicts, rule_claims
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
    there, gone = dict(present), dict[str, Trunk]()
    todo = {w.name: w.trunk for w in wanted if _trunk_changes(w.trunk, there.get(w.name))}
    order = _in_order(
        {name: claims(trunk) for name, trunk in todo.items()},
        {name: claims(trunk) for name, trunk in there.items()},
    )
    for name, goes in order:
        if goes:
            gone[name] = there.pop(name)
            yield _delete(gone[name])
            continue
        old = there.get(name)
        info = _merged_trunk(old or gone.get(name), todo[name])
        if old is None:
            info.ClearField("sip_trunk_id")
        yield _make(info, old, _trunk_changes(todo[name], old))


def _rule_actions(
    wanted: Sequence[Wanted], present: Mapping[str, Rule], ids: Mapping[str, str]
) -> Iterator[Action]:
    # A trunk that is made anew has no name here: a rule that leads to its old id is out of date.
    names = {identifier: name for name, identifier in ids.items()}
    there, gone = dict(present), dict[str, Rule]()

    def changes(each: Wanted) -> tuple[Change, ...]:
        new = {**rule_fields(each.rule, names), "trunks": (each.name,)}
        old = there.get(each.name)
        return _changes(rule_fields(old, names) if old else None, new)

    todo = {each.name: each for each in wanted if changes(each)}
    order = _in_order(
        {name: frozenset({(ids.get(name, name), "", "", "")}) for name in todo},
        {name: rule_claims(rule) for name, rule in there.items()},
    )
    for name, goes in order:
        if goes:
            gone[name] = there.pop(name)
            yield _delete(gone[name])
            continue
        old = there.get(name)
        info = _merged_rule(old or gone.get(name), todo[name].rule)
        if old is None:
            info.ClearField("sip_dispatch_rule_id")
        yield _make(info, old, changes(todo[name]))


def _in_order(
    wanted: Mapping[str, frozenset[Claim]], present: Mapping[str, frozenset[Claim]]
) -> Iterator[tuple[str, bool]]:
    """Order names so that what one claims is free by then; True for one that must go before."""
    pending, held = [*wanted], dict(present)

    def blocker(name: str) -> str:
        return next((n for n in held if n != name and held[n] & wanted[name]), "")

    while pending:
        name = next((each for each in pending if not blocker(each)), None)
        if name is None:
            # They wait for each other in a ring; one that goes opens it.
            name = blocker(pending[0])
            del held[name]
            yield name, True
            continue
        pending.remove(name)
        held[name] = wanted[name]
        yield name, False


def _make(info: Trunk | Rule, old: Trunk | Rule | None, changes: tuple[Change, ...]) -> Action:
    kind = Kind.TRUNK if isinstance(info, Trunk) else Kind.RULE
    verb, identifier = (Verb.UPDATE, _id(old)) if old else (Verb.CREATE, None)
    return Action(verb, kind, info.name, identifier, changes, info)


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
