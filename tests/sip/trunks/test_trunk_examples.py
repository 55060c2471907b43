"""The files for LiveKit's own command line are what `ring.py sip apply` would make."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import ParseDict
from livekit import api

from sip.provision.wanted import wanted
from thirdring import config, workflow
from thirdring.settings import Trunk

ROOT = Path(__file__).parents[3]
TRUNKS = ROOT / "sip" / "trunks"
SECRETS = {
    "THIRDRING_WEBHOOK_URL": "https://example.org/hook",
    "THIRDRING_WEBHOOK_SECRET": "whsec_" + "YWJj" * 8,
}


def example(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((TRUNKS / name).read_text(encoding="utf-8"))
    return document


def test_trunk_and_rule_are_those_of_apply() -> None:
    """Made by hand with `lk` they differ from applied ones in the ids alone."""
    workflows = workflow.discover()
    settings = config.load(ROOT / "thirdring.yaml", workflows=workflows, environ=SECRETS)
    line = settings.businesses[0].lines[0].number
    provider = Trunk(
        name="provider", lines=(line,), allowed_addresses=(ip_network("203.0.113.0/24"),)
    )
    (made,) = wanted(settings.model_copy(update={"trunks": (provider,)}), workflows)
    trunk = ParseDict(example("inbound-trunk.json"), api.CreateSIPInboundTrunkRequest()).trunk
    rule = ParseDict(example("dispatch-rule.json"), api.CreateSIPDispatchRuleRequest())
    assert trunk == made.trunk
    assert list(rule.dispatch_rule.trunk_ids) == ["ST_0000000000"]
    rule.dispatch_rule.ClearField("trunk_ids")
    assert rule.dispatch_rule == made.rule


def test_the_outbound_trunk_is_a_request() -> None:
    """LiveKit's message takes every field of it, and it has what a call out needs."""
    trunk = ParseDict(example("outbound-trunk.json"), api.CreateSIPOutboundTrunkRequest()).trunk
    assert (trunk.address, trunk.transport) == ("sip.example.com", api.SIP_TRANSPORT_UDP)
    assert list(trunk.numbers) == ["+12025550142"]


def test_livekit_sip_knows_every_key() -> None:
    """It ignores what it does not know: a slip would show in no log."""
    config_keys = yaml.safe_load((TRUNKS / "sip.yaml").read_text(encoding="utf-8")).keys()
    assert config_keys == {
        *("redis", "sip_port", "rtp_port", "use_external_ip"),
        *("health_port", "media_timeout", "logging"),
    }
