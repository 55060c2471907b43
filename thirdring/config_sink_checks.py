"""What the places that records go to demand of the rest of `thirdring.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from thirdring.config_findings import Findings
from thirdring.config_sinks import is_mongodb_url
from thirdring.config_values import parse_network
from thirdring.egress import Network, check_url, is_never_allowed
from thirdring.errors import EgressRefused
from thirdring.yaml_document import YamlPath

__all__ = ["allowed_networks", "check_sinks"]

# What stands for a password in a URL of MongoDB, as it is written in the file.
_PASSWORDS: Final = (
    re.compile(r"//[^:/?#@]*:(.*)@", re.DOTALL),
    re.compile(r"[?&]\w*password=([^&]*)", re.IGNORECASE),
)


def check_sinks(
    findings: Findings,
    path: YamlPath,
    business: Mapping[str, object],
    allowed: Sequence[Network] | None,
) -> None:
    """Report every webhook and sink of one business that cannot be used as it is written.

    Args:
        path: Of the business.
        business: Its data, of any shape.
        allowed: As `allowed_networks` returns them.
    """
    _check_webhook(findings, (*path, "webhook"), _mapping(business.get("webhook")), allowed)
    sinks = _mapping(business.get("sinks"))
    _check_mongodb(findings, (*path, "sinks", "mongodb"), _mapping(sinks.get("mongodb")))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def allowed_networks(findings: Findings, value: object) -> list[Network] | None:
    """Return the networks of `allowed_receivers`, and report those that are never opened.

    None when one of them is no network, which is told already: then no URL can be judged.
    """
    entries = value if isinstance(value, list) else []
    networks = [parse_network(entry) for entry in entries]
    for index, network in enumerate(networks):
        if network is not None and is_never_allowed(network):
            what = "is never opened: nobody's, the metadata of a cloud, or IPv4 written as IPv6"
            findings.value(("allowed_receivers", index), what, "a network of receivers")
    found = [network for network in networks if network is not None]
    return found if len(found) == len(networks) else None


def _check_webhook(
    findings: Findings,
    path: YamlPath,
    webhook: Mapping[str, object],
    allowed: Sequence[Network] | None,
) -> None:
    url = webhook.get("url")
    if isinstance(url, str) and url and allowed is not None:
        try:
            check_url(url, allowed)
        except EgressRefused as refused:
            findings.value((*path, "url"), refused.what, refused.expected)
    for name in ("secret", "previous_secret"):
        if isinstance(webhook.get(name), str) and findings.is_written_out((*path, name)):
            expected = "${NAME}, and the secret in the environment or .env.local"
            findings.value((*path, name), "stands in the file", expected)
    previous = webhook.get("previous_secret")
    if isinstance(previous, str) and previous == webhook.get("secret"):
        expected = "the secret before this one, or no such key"
        findings.value((*path, "previous_secret"), "is the same as secret", expected)


def _check_mongodb(findings: Findings, path: YamlPath, mongodb: Mapping[str, object]) -> None:
    if not mongodb:
        return
    if find_spec("pymongo") is None:
        expected = "the package pymongo: uv sync --inexact --extra mongo"
        findings.key(path, "needs what is not installed", expected)
        return
    from thirdring.sinks.mongodb import is_understood  # noqa: PLC0415 - needs that package

    url = mongodb.get("url")
    if not isinstance(url, str) or not is_mongodb_url(url):
        return
    place = (*path, "url")
    written = findings.document.places[place].written or ""
    passwords = [match[1] for pattern in _PASSWORDS for match in pattern.finditer(written)]
    if any(password and "${" not in password for password in passwords):
        expected = "${NAME} for the password or the whole URL"
        findings.value(place, "has a password that stands in the file", expected)
    elif not is_understood(url):
        expected = "mongodb://user:password@host/, with %40 for @, %2F for / and so on in both"
        findings.value(place, "is not understood by MongoDB's driver", expected)
