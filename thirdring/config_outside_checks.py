"""What tools, servers, calendars and staff demand of the rest of `thirdring.yaml`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from thirdring.config_findings import Findings
from thirdring.egress import Network, check_url
from thirdring.errors import EgressRefused
from thirdring.workflow import Workflow, handover_name, tool_names
from thirdring.yaml_document import YamlPath

__all__ = ["Surroundings", "check_outside", "missing_extras"]

_PACKAGES: Final = {
    # Google's tokens are signed with the second; nothing else needs it.
    "calendar": ("icalendar", "cryptography"),
    "mcp": ("mcp",),
    "notify": ("apprise",),
}
_KEPT: Final = {
    "end_call": "many workflows",
    "switch_language": "every business with several languages",
    "transfer_call": "many workflows",
}
"""Names that the program gives itself, and whose they are: another workflow may need them."""
_EXTRA: Final = "the extra {0}: uv sync --inexact --extra {0}"
_ARGUMENT: Final = re.compile(r"\{([^{}]*)\}")
# What says nothing about who asks, and may stand in the file.
_OPEN_HEADERS: Final = frozenset(
    ("accept", "accept-language", "content-type", "prefer", "user-agent", "x-request-source")
)


@dataclass(frozen=True)
class Surroundings:
    """What the checks of a business need to know of the rest.

    Attributes:
        allowed: Networks inside that may be reached; None when they are not known.
        missing: As `missing_extras` returns them.
    """

    workflows: Mapping[str, Workflow]
    allowed: Sequence[Network] | None
    missing: Collection[str]


def missing_extras() -> frozenset[str]:
    """Return the extras of this project that are not installed; looks at the disk."""
    return frozenset(
        extra
        for extra, packages in _PACKAGES.items()
        if any(find_spec(package) is None for package in packages)
    )


def check_outside(
    findings: Findings,
    path: YamlPath,
    business: Mapping[str, object],
    around: Surroundings,
) -> None:
    """Report what one business has elsewhere and cannot be used as it is written.

    Args:
        path: Of the business.
        business: Its data, of any shape.
    """
    allowed, missing = around.allowed, around.missing
    _check_staff(findings, (*path, "staff"), _mapping(business.get("staff")), missing)
    calendar = _mapping(business.get("calendar"))
    _check_calendar(findings, (*path, "calendar"), calendar, allowed, missing)
    taken = _workflow_tools(business, around.workflows)
    for name, tool in _mapping(business.get("tools")).items():
        place = (*path, "tools", name)
        _check_name(findings, place, name, taken, as_key=True)
        _check_target(findings, place, _mapping(tool), allowed)
        _check_arguments(findings, place, _mapping(tool))
    for name, server in _mapping(business.get("mcp_servers")).items():
        place = (*path, "mcp_servers", name)
        if "mcp" in missing:
            findings.key(place, "needs what is not installed", _EXTRA.format("mcp"))
        for index, tool in enumerate(_list(_mapping(server).get("allowed_tools"))):
            if isinstance(tool, str):
                _check_name(findings, (*place, "allowed_tools", index), tool, taken, as_key=False)
        _check_target(findings, place, _mapping(server), allowed)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _workflow_tools(
    business: Mapping[str, object], workflows: Mapping[str, Workflow]
) -> dict[str, str]:
    """Return whose each tool name is that the workflows of this business's lines have taken."""
    taken = dict(_KEPT)
    for line in _list(business.get("lines")):
        name = _mapping(line).get("workflow")
        if isinstance(name, str) and name in workflows:
            handing_over = [handover_name(part.name) for part in workflows[name].agents]
            for tool in (*tool_names(workflows[name]), *handing_over):
                taken[tool] = f"the workflow {name}"
    return taken


def _check_name(
    findings: Findings, path: YamlPath, name: str, taken: dict[str, str], *, as_key: bool
) -> None:
    report = findings.key if as_key else findings.value
    if name in taken:
        report(path, f"is the name of a tool of {taken[name]}", "another name")
    elif name.startswith(handover_name("")):
        report(path, "begins like the tools that hand a caller over", "another name")
    taken.setdefault(name, f"{path[2]}.{path[3]}")


def _check_target(
    findings: Findings,
    path: YamlPath,
    data: Mapping[str, object],
    allowed: Sequence[Network] | None,
) -> None:
    _check_url(findings, (*path, "url"), data.get("url"), allowed)
    seen: set[str] = set()
    for name, value in _mapping(data.get("headers")).items():
        place = (*path, "headers", name)
        if name.lower() in seen:
            findings.key(place, "is there twice", "each header once")
        seen.add(name.lower())
        if isinstance(value, str) and name.lower() not in _OPEN_HEADERS:
            _check_variable(findings, place)


def _check_url(
    findings: Findings, path: YamlPath, url: object, allowed: Sequence[Network] | None
) -> None:
    if isinstance(url, str) and url and allowed is not None:
        try:
            check_url(url, allowed)
        except EgressRefused as refused:
            findings.value(path, refused.what, refused.expected)


def _check_variable(findings: Findings, path: YamlPath) -> None:
    if findings.is_written_out(path):
        expected = "${NAME}, and the value in the environment or .env.local"
        findings.value(path, "stands in the file", expected)


def _check_arguments(findings: Findings, path: YamlPath, tool: Mapping[str, object]) -> None:
    arguments = _mapping(tool.get("arguments"))
    for name, argument in arguments.items():
        _check_choices(findings, (*path, "arguments", name), _mapping(argument))
    url, place = tool.get("url"), (*path, "url")
    if not isinstance(url, str):
        return
    # A URL from a variable is a value that no error may show.
    written = _ARGUMENT.findall(findings.document.places[place].written or "")
    for name in _ARGUMENT.findall(url):
        argument = _mapping(arguments.get(name))
        if name not in arguments:
            which, wanted = "an argument", "it"
            if name in written:
                which, wanted = f"the argument {name[:64]!a}", f'"{name[:64]}"'
            what = f"uses {which}, which is not there"
            findings.value(place, what, f"{wanted} among the arguments of the tool")
        elif argument.get("required") is False and f"{{{name}}}" in url.partition("?")[0]:
            what = f"has {name} in its path, which the model may leave out"
            findings.value(place, what, "a required argument there")
    if re.search(r"[{}]", _ARGUMENT.sub("", url)):
        findings.value(place, "has a brace that belongs to no argument", "{name} of an argument")


def _check_choices(findings: Findings, path: YamlPath, argument: Mapping[str, object]) -> None:
    kind, seen = argument.get("type", "string"), set()
    for index, choice in enumerate(_list(argument.get("choices"))):
        place = (*path, "choices", index)
        if kind == "boolean":
            findings.value(place, "is a choice of an argument that is true or false", "no choices")
        elif kind in ("integer", "number") and not _is_number(choice, whole=kind == "integer"):
            findings.value(place, f"is no {kind}", "choices of the argument's type")
        elif str(choice) in seen:
            findings.value(place, "is there twice", "each choice once")
        seen.add(str(choice))


def _is_number(value: object, *, whole: bool) -> bool:
    return bool(re.fullmatch(r"-?[0-9]{1,18}" + ("" if whole else r"(\.[0-9]{1,18})?"), str(value)))


def _check_calendar(
    findings: Findings,
    path: YamlPath,
    calendar: Mapping[str, object],
    allowed: Sequence[Network] | None,
    missing: Collection[str],
) -> None:
    caldav, google = _mapping(calendar.get("caldav")), _mapping(calendar.get("google"))
    if caldav and google:
        findings.key((*path, "google"), "is a second calendar", "caldav or google")
    for kind, settings in (("caldav", caldav), ("google", google)):
        if settings and "calendar" in missing:
            findings.key((*path, kind), "needs what is not installed", _EXTRA.format("calendar"))
    if caldav:
        _check_url(findings, (*path, "caldav", "url"), caldav.get("url"), allowed)
        if isinstance(caldav.get("password"), str):
            _check_variable(findings, (*path, "caldav", "password"))
    account = google.get("service_account")
    if isinstance(account, str):
        place = (*path, "google", "service_account")
        _check_variable(findings, place)
        _check_token_url(findings, place, account, allowed)


def _check_token_url(
    findings: Findings, path: YamlPath, account: str, allowed: Sequence[Network] | None
) -> None:
    try:
        url = _mapping(json.loads(account)).get("token_uri")
    except ValueError:
        return
    if isinstance(url, str) and allowed is not None:
        try:
            check_url(url, allowed)
        except EgressRefused as refused:
            findings.value(path, f"has a token_uri that {refused.what}", refused.expected)


def _check_staff(
    findings: Findings, path: YamlPath, staff: Mapping[str, object], missing: Collection[str]
) -> None:
    for name, member in staff.items():
        for index, url in enumerate(_list(_mapping(member).get("notify"))):
            place = (*path, name, "notify", index)
            if not isinstance(url, str):
                continue
            if "notify" in missing:
                findings.value(place, "needs what is not installed", _EXTRA.format("notify"))
            else:
                _check_variable(findings, place)
