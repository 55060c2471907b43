"""What the places that records go to demand of the rest of `thirdring.yaml`."""

from __future__ import annotations

from collections.abc import Mapping

from thirdring.config_findings import Findings
from thirdring.config_values import parse_network
from thirdring.egress import Network, check_url
from thirdring.errors import EgressRefused
from thirdring.yaml_document import YamlPath

__all__ = ["check_sinks"]


def check_sinks(findings: Findings, data: Mapping[str, object]) -> None:
    """Report every webhook and sink that cannot be used as it is written.

    Args:
        data: The whole file, of any shape.
    """
    allowed = _allowed(data.get("allowed_receivers"))
    businesses = data.get("businesses")
    if not isinstance(businesses, dict):
        return
    for slug, business in businesses.items():
        webhook = business.get("webhook") if isinstance(business, dict) else None
        if isinstance(webhook, dict):
            _check_webhook(findings, ("businesses", slug, "webhook"), webhook, allowed)


def _allowed(value: object) -> list[Network] | None:
    """Return the networks that are listed; None when one of them is none, which is told already."""
    networks = [parse_network(entry) for entry in value] if isinstance(value, list) else []
    found = [network for network in networks if network is not None]
    return found if len(found) == len(networks) else None


def _check_webhook(
    findings: Findings,
    path: YamlPath,
    webhook: Mapping[str, object],
    allowed: list[Network] | None,
) -> None:
    url = webhook.get("url")
    if not isinstance(url, str) or not url or allowed is None:
        return
    try:
        check_url(url, allowed)
    except EgressRefused as refused:
        findings.value((*path, "url"), refused.what, refused.expected)
