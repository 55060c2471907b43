"""What docs/trunk.md tells people to type is accepted."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from thirdring import config, workflow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "trunk.md").read_text(encoding="utf-8")


def test_its_trunk_is_one(tmp_path: Path) -> None:
    """Added to our own file, its example lets the provider's addresses call our line."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "thirdring.yaml"
    file.write_text((ROOT / "thirdring.yaml").read_text(encoding="utf-8") + "\n" + example)
    secrets = {
        "THIRDRING_WEBHOOK_URL": "https://example.org/hook",
        "THIRDRING_WEBHOOK_SECRET": "whsec_" + "YWJj" * 8,
    }
    settings = config.load(file, workflows=workflow.discover(), environ=secrets)
    (trunk,) = settings.trunks
    assert (trunk.name, trunk.lines) == ("provider", (settings.businesses[0].lines[0].number,))
    assert [str(network) for network in trunk.allowed_addresses] == ["203.0.113.0/24"]


def test_its_ports_are_those_of_the_configuration() -> None:
    """The firewall is told of the ports that the programs really take."""
    server = yaml.safe_load((ROOT / "livekit.yaml").read_text(encoding="utf-8"))
    sip = yaml.safe_load((ROOT / "sip" / "trunks" / "sip.yaml").read_text(encoding="utf-8"))
    firewall = " ".join(PAGE.partition("**1. ")[2].partition("**2. ")[0].split())
    opened, _, closed = firewall.partition("Keep closed: ")
    assert f"{sip['sip_port']} UDP and TCP" in opened
    assert f"{sip['rtp_port']} UDP" in opened
    assert f"{sip['health_port']} TCP" in closed
    assert f"{server['rtc']['tcp_port']} TCP and {server['rtc']['udp_port']} UDP" in closed


def test_every_file_that_it_names_is_there() -> None:
    """No reader looks for a file in vain; only .env.local is their own to make."""
    named = set(re.findall(r"\b(?:deploy|sip/trunks)/[\w.-]+\.\w+|livekit\.yaml", PAGE))
    assert {"deploy/compose.yaml", "sip/trunks/sip.yaml", "livekit.yaml"} <= named
    assert {name for name in named if not (ROOT / name).is_file()} == set()
