"""What one value of `thirdring.yaml` demands of another, and of the workflows.

The checks read the plain data, not the typed settings, so that a mistake elsewhere in the file
hides none of theirs. Of values with a wrong shape they say nothing: the schema does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final

from thirdring.config_findings import Findings
from thirdring.config_outside_checks import Surroundings, check_outside, missing_extras
from thirdring.config_sink_checks import allowed_networks, check_sinks
from thirdring.config_values import (
    is_loopback,
    one_of,
    parse_day,
    parse_listen,
    parse_ports,
    parse_span,
)
from thirdring.prompts import LONE_BRACES, lone_braces, placeholders
from thirdring.settings import GatewaySettings, TurnTaking
from thirdring.workflow import CALL_FACTS, Workflow, tool_names
from thirdring.yaml_document import YamlPath

__all__ = ["check"]

OWN_FACTS: Final = frozenset({"address", "facility_name", "notes"})
"""Facts that every call has, and that a business says better itself."""

_SAME: Final = {"instructions": "ai_instructions", "voice": "voice_id"}
_FILLED: Final = ("instructions", "ai_instructions")
_NOT_FOR: Final = {
    "semantic_vad": ("server_vad", ("threshold", "prefix_padding_ms", "silence_ms")),
    "server_vad": ("semantic_vad", ("eagerness",)),
}
"""Of each kind of turn taking: what the other one alone listens to."""

_CREDENTIALS: Final = ("auth_username", "auth_password")
_APART: Final = (
    "each line in one trunk, with the addresses of all its providers, "
    "or allowed_numbers without a common one"
)


def check(findings: Findings, workflows: Mapping[str, Workflow]) -> None:
    """Report every value that does not fit the others."""
    data = _mapping(findings.document.data)
    businesses = [
        _Business(("businesses", slug), _mapping(business))
        for slug, business in _mapping(data.get("businesses")).items()
    ]
    numbers = _check_numbers(findings, businesses, data.get("default_line"))
    allowed = allowed_networks(findings, data.get("allowed_receivers"))
    around = Surroundings(workflows, allowed, missing_extras())
    for business in businesses:
        _check_hours(findings, business)
        _check_holidays(findings, business)
        _check_facts(findings, business)
        _check_spoken(findings, business.path, business.data, CALL_FACTS | business.facts.keys())
        _check_languages(findings, business)
        for path, line in business.lines():
            _check_line(findings, business, path, line, workflows)
        check_outside(findings, business.path, business.data, around)
        check_sinks(findings, business.path, business.data, allowed)
    _check_gateway(findings, _mapping(data.get("gateway")))
    _check_trunks(findings, _mapping(data.get("trunks")), numbers)


@dataclass(frozen=True)
class _Business:
    path: YamlPath
    data: Mapping[str, object]

    @property
    def facts(self) -> Mapping[str, object]:
        return _mapping(self.data.get("facts"))

    def tools(self, findings: Findings) -> dict[str, str]:
        """Return the tools that it has besides those of workflows, each as errors may show it."""
        found = {name: name for name in _mapping(self.data.get("tools"))}
        for server, data in _mapping(self.data.get("mcp_servers")).items():
            for index, tool in enumerate(_list(_mapping(data).get("allowed_tools"))):
                if isinstance(tool, str):
                    path = (*self.path, "mcp_servers", server, "allowed_tools", index)
                    found.setdefault(tool, findings.written(path))
        return found

    def lines(self) -> Iterator[tuple[YamlPath, Mapping[str, object]]]:
        for index, line in enumerate(_list(self.data.get("lines"))):
            yield (*self.path, "lines", index), _mapping(line)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _check_numbers(
    findings: Findings, businesses: list[_Business], default_line: object
) -> dict[str, YamlPath]:
    """Return the numbers of all lines, each with its place."""
    first: dict[str, YamlPath] = {}
    for business in businesses:
        for path, line in business.lines():
            number, place = line.get("number"), (*path, "number")
            if not isinstance(number, str) or place in findings.document.broken:
                continue
            if number in first:
                where = findings.position(first[number])
                findings.value(place, f"is the number of another line, {where}", "one line each")
            first.setdefault(number, place)
    if isinstance(default_line, str) and default_line not in first:
        _report_number(findings, ("default_line",), default_line, first)
    return first


def _report_number(
    findings: Findings, path: YamlPath, number: str, numbers: Mapping[str, YamlPath]
) -> None:
    known = one_of(number, [findings.written(place) for place in numbers.values()])
    findings.value(path, "is the number of no line", known)


def _check_hours(findings: Findings, business: _Business) -> None:
    for day, spans in _mapping(business.data.get("hours")).items():
        _check_spans(findings, (*business.path, "hours", day), spans)


def _check_spans(findings: Findings, path: YamlPath, spans: object) -> None:
    closed_at = None
    parsed = sorted(
        (span.opens, span.closes, index)
        for index, text in enumerate(_list(spans))
        if isinstance(text, str) and (span := parse_span(text))
    )
    for opens, closes, index in parsed:
        if closed_at and opens < closed_at:
            findings.value((*path, index), "overlaps another span of the day", "spans that do not")
        closed_at = max(closes, closed_at) if closed_at else closes


def _check_holidays(findings: Findings, business: _Business) -> None:
    first: dict[date, YamlPath] = {}
    for index, holiday in enumerate(_list(business.data.get("holidays"))):
        path = (*business.path, "holidays", index)
        day = parse_day(_mapping(holiday).get("day"))
        if day is not None:
            place = (*path, "day")
            if day in first:
                where = findings.position(first[day])
                findings.value(place, f"is another holiday's day, {where}", "one holiday a day")
            first.setdefault(day, place)
        _check_spans(findings, (*path, "hours"), _mapping(holiday).get("hours"))


def _check_facts(findings: Findings, business: _Business) -> None:
    for name, text in business.facts.items():
        path = (*business.path, "facts", name)
        if name in CALL_FACTS - OWN_FACTS:
            findings.key(path, "is a fact that every call has by itself", "another name")
        if isinstance(text, str) and placeholders(text):
            findings.value(path, "has a placeholder", "text: facts are not filled in themselves")


def _check_spoken(
    findings: Findings, path: YamlPath, data: Mapping[str, object], facts: frozenset[str]
) -> None:
    """Report additions that use unknown facts, and what is said under both of its names."""
    for name, other in _SAME.items():
        if name in data and other in data:
            findings.key((*path, other), f"is the same as `{name}`", "one of the two")
        for key in (name, other):
            text = data.get(key)
            if key in _FILLED and isinstance(text, str):
                _check_text(findings, (*path, key), text, facts)
    if isinstance(data.get("agent_name"), str) and placeholders(str(data["agent_name"])):
        findings.value((*path, "agent_name"), "has a placeholder", "a name")


def _check_languages(findings: Findings, business: _Business) -> None:
    seen = set()
    for index, tag in enumerate(_list(business.data.get("languages"))):
        if isinstance(tag, str):
            if tag in seen:
                path = (*business.path, "languages", index)
                findings.value(path, "is there twice", "each language once")
            seen.add(tag)


def _check_line(
    findings: Findings,
    business: _Business,
    path: YamlPath,
    line: Mapping[str, object],
    workflows: Mapping[str, Workflow],
) -> None:
    facts = CALL_FACTS | business.facts.keys()
    greeting = line.get("greeting")
    if isinstance(greeting, str):
        _check_text(findings, (*path, "greeting"), greeting, facts)
    _check_spoken(findings, path, line, facts)
    _check_turn_taking(findings, (*path, "turn_taking"), _mapping(line.get("turn_taking")))
    name = line.get("workflow")
    if not isinstance(name, str):
        return
    workflow = workflows.get(name)
    place = (*path, "workflow")
    if workflow is None:
        findings.value(place, "is no workflow", one_of(name, workflows))
        return
    used = {*workflow.facts, *(() if greeting else placeholders(workflow.greeting))}
    for fact in sorted(used - facts):
        expected = f'"{fact}" among the facts of the business'
        findings.value(place, f'uses the fact "{fact}", which is not there', expected)
    _check_tools(findings, business, (*path, "tools"), _list(line.get("tools")), workflow)


def _check_turn_taking(
    findings: Findings, path: YamlPath, turn_taking: Mapping[str, object]
) -> None:
    kind = turn_taking.get("kind", TurnTaking().kind)
    if isinstance(kind, str) and kind in _NOT_FOR:
        other, keys = _NOT_FOR[kind]
        for key in keys:
            if key in turn_taking:
                what = f"says nothing to {kind}"
                findings.key((*path, key), what, f"`kind: {other}` beside it, or no {key}")


def _check_text(findings: Findings, path: YamlPath, text: str, facts: frozenset[str]) -> None:
    # A text from a variable is a value that no error may show.
    written = placeholders(findings.document.places[path].written or "")
    for name in sorted(placeholders(text) - facts):
        unknown = f"the unknown fact {name[:64]!a}" if name in written else "an unknown fact"
        findings.value(path, f"uses {unknown}", one_of(name, facts))
    if lone_braces(text) is not None:
        findings.value(path, LONE_BRACES, "{{ name }}")


def _check_tools(
    findings: Findings,
    business: _Business,
    path: YamlPath,
    tools: list[object],
    workflow: Workflow,
) -> None:
    own = business.tools(findings)
    known = {name: name for name in tool_names(workflow)} | own
    for index, tool in enumerate(tools):
        if isinstance(tool, str) and tool not in known:
            what = f"is no tool of the workflow {workflow.name}"
            what += " or of the business" if own else ""
            findings.value((*path, index), what, one_of(tool, known.values()))


def _check_gateway(findings: Findings, gateway: Mapping[str, object]) -> None:
    defaults = GatewaySettings()
    listen = parse_listen(gateway.get("listen"))
    if listen and not is_loopback(listen[0]) and not gateway.get("allowed_addresses"):
        what = "listens outside of this machine with no allowed_addresses"
        expected = "the addresses that may call in allowed_addresses, or a loopback address"
        findings.value(("gateway", "listen"), what, expected)
    max_calls = gateway.get("max_calls", defaults.max_calls)
    ports = parse_ports(gateway["rtp_ports"]) if "rtp_ports" in gateway else defaults.rtp_ports
    if ports and isinstance(max_calls, int) and ports[1] - ports[0] + 1 < 2 * max_calls:
        path = ("gateway", "rtp_ports" if "rtp_ports" in gateway else "max_calls")
        what = f"leaves too few ports for {max_calls} calls"
        findings.value(path, what, "two ports for each of max_calls")


def _check_trunks(
    findings: Findings, trunks: Mapping[str, object], numbers: Mapping[str, YamlPath]
) -> None:
    checked: list[_Trunk] = []
    for name, data in trunks.items():
        if not isinstance(data, dict):
            continue
        trunk = _Trunk(("trunks", name), data, numbers)
        _check_credentials(findings, trunk)
        for index, number in enumerate(_list(trunk.data.get("lines"))):
            place = (*trunk.path, "lines", index)
            if not isinstance(number, str) or place in findings.document.broken:
                continue
            if number not in numbers:
                _report_number(findings, place, number, numbers)
            elif trunk.lines[number] != place:
                findings.value(place, "is there twice", "each line once")
        _check_apart(findings, trunk, checked)
        checked.append(trunk)


@dataclass(frozen=True)
class _Trunk:
    path: YamlPath
    data: Mapping[str, object]
    numbers: Collection[str]

    @cached_property
    def lines(self) -> Mapping[str, YamlPath]:
        """Return where each of its lines is named: at the trunk itself when it names none."""
        if "lines" not in self.data:
            return dict.fromkeys(self.numbers, self.path)
        named = [*enumerate(_list(self.data["lines"]))]
        return {n: (*self.path, "lines", i) for i, n in reversed(named) if isinstance(n, str)}

    @property
    def callers(self) -> set[object]:
        return {n for n in _list(self.data.get("allowed_numbers")) if isinstance(n, str)}


def _check_credentials(findings: Findings, trunk: _Trunk) -> None:
    for name, other in (_CREDENTIALS, _CREDENTIALS[::-1]):
        if name in trunk.data and other not in trunk.data:
            expected = f"the key `{other}` beside `{name}`"
            findings.missing((*trunk.path, other), "is missing", expected)
    if isinstance(trunk.data.get(_CREDENTIALS[1]), str):
        place = (*trunk.path, _CREDENTIALS[1])
        if findings.is_written_out(place):
            expected = "${NAME}, and the password in the environment or .env.local"
            findings.value(place, "stands in the file", expected)


def _check_apart(findings: Findings, trunk: _Trunk, others: list[_Trunk]) -> None:
    # LiveKit goes by number and caller; of two trunks that have both in common it takes one only.
    for other in others:
        if trunk.callers and other.callers and not trunk.callers & other.callers:
            continue
        for number, place in trunk.lines.items():
            if number in other.lines:
                report = findings.key if place == trunk.path else findings.value
                what = f"has a line for the same callers as the trunk {other.path[1]}"
                report(place, what, _APART)
                return
