"""Which URLs and addresses may be reached, before anything is dialled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peers.counts import tell
from tests.thirdring.forbidden_urls import ADDRESSES, FORBIDDEN
from thirdring import config
from thirdring.egress import Target, check_address, check_url, is_loopback, is_never_allowed
from thirdring.errors import ConfigError, EgressRefused
from thirdring.workflow import Workflow

URLS = [url.replace("PORT", "8080") for forms in FORBIDDEN.values() for url in forms]
LAN = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
BUSINESS = """\
  clinic_%(number)d:
    name: Clinic
    time_zone: UTC
    webhook: {url: %(url)s, secret: "${SECRET}"}
    lines: [{number: "+1202555%(line)04d", workflow: desk}]
"""


def load(path: Path, urls: list[str], more: str = "") -> None:
    parts = (
        BUSINESS % {"number": number, "url": json.dumps(url), "line": 100 + number}
        for number, url in enumerate(urls)
    )
    path.write_text("version: 1\nbusinesses:\n" + "".join(parts) + more)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    desk = Workflow(name="desk", greeting="Hello.")
    config.load(path, workflows={"desk": desk}, environ={"SECRET": secret})


def test_every_forbidden_form_is_a_problem_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """None of them gets past the check of the configuration, each with its place."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "thirdring.yaml", URLS)
    found = {p.path for p in caught.value.problems}
    wanted = {f"businesses.clinic_{number}.webhook.url" for number in range(len(URLS))}
    assert wanted - found == set()
    assert all(problem.line and problem.expected for problem in caught.value.problems)
    tell(capsys, f"forbidden URLs that pass the configuration's check: 0 of n={len(set(URLS))}")
    assert len(set(URLS)) >= 150


# Once there are receivers inside, these are left to the addresses that they have.
LATER = {"names that mean something inside only", "ports"}


@pytest.mark.parametrize("kind", sorted(FORBIDDEN.keys() - LATER))
def test_a_list_of_other_networks_lets_none_pass(kind: str) -> None:
    """What is allowed for one receiver opens no way to another."""
    elsewhere = (ip_network("172.16.99.0/24"),)
    for url in FORBIDDEN[kind]:
        with pytest.raises(EgressRefused):
            check_url(url.replace("PORT", "8080"), elsewhere)


def test_a_list_of_loopback_opens_this_machine_only(capsys: pytest.CaptureFixture[str]) -> None:
    """The list that the shipped file has lets no name and no port pass but those of localhost."""
    tried = 0
    for url in (url for kind in FORBIDDEN for url in FORBIDDEN[kind]):
        try:
            target = check_url(url.replace("PORT", "8080"), LOOPBACK)
        except EgressRefused:
            tried += 1
        else:
            assert target.host.endswith("localhost") or is_loopback(ip_address(target.host))
    assert tried >= 150
    tell(capsys, f"forbidden URLs elsewhere that a list of loopback lets pass: 0 of n={tried}")


@pytest.mark.parametrize("url", ["https://localhost/", "https://crm.localhost:9443/"])
def test_this_machine_is_no_network_beside_it(url: str) -> None:
    """Names that can only mean this machine are refused while a list is of other networks."""
    check_url(url, LOOPBACK)
    with pytest.raises(EgressRefused, match="this machine"):
        check_url(url, LAN)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hook?token=a%20b&c=d",
        "https://EXAMPLE.com:8443/",
        "https://example.com:443/",
        "https://a-b.c_d.example.co.uk/x/../y;z",
        "https://xn--exmple-cua.com/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]:8443/",
        "https://[64:ff9b::8.8.8.8]/",
        "https://172.15.255.255/",
        "https://172.32.0.1/",
        "https://100.63.255.255/",
        "https://100.128.0.1/",
        "https://1.1.1.1.example.com/",
        "https://localhost.example.com/",
        "https://127.0.0.1.example.com/",
        "https://0x7f.example.com/",
    ],
)
def test_a_public_url_passes(url: str) -> None:
    """What leads outside by https, as far as the URL says, is left to its addresses."""
    assert not check_url(url).plain


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/",
        "http://127.3.2.1/",
        "http://[::1]:8080/",
        "http://localhost:8080/",
        "https://127.0.0.1:9443/",
        "https://localhost:9443/",
    ],
)
def test_this_machine_is_reached_once_it_is_listed(url: str) -> None:
    """http too, and on any port; without the list the error says what to add."""
    check_url(url, LOOPBACK)
    with pytest.raises(EgressRefused, match=r"this machine|local network") as caught:
        check_url(url)
    assert "allowed_receivers" in caught.value.expected


@pytest.mark.parametrize(
    "url",
    [
        "https://10.1.2.3/",
        "https://10.1.2.3:9443/",
        "https://[fd00::7]:9443/",
        "https://crm.corp:9443/",
        "https://crm/",
    ],
)
def test_receivers_inside_are_reached_by_https_once_listed(url: str) -> None:
    """A list of networks opens them on any port, and names that only they know."""
    check_url(url, LAN)
    with pytest.raises(EgressRefused, match="allowed_receivers"):
        check_url(url)
    with pytest.raises(EgressRefused, match="http outside of this machine"):
        check_url(url.replace("https", "http"), LAN)


def test_an_old_file_is_told_what_to_add(tmp_path: Path) -> None:
    """A loopback URL without the list is one problem, and its remedy makes the file good."""
    path = tmp_path / "thirdring.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path, ["http://127.0.0.1:8090/"])
    (problem,) = caught.value.problems
    remedy = 'allowed_receivers: [127.0.0.0/8, "::1/128"]'
    assert str(problem) == (
        f"{path}:6:20 businesses.clinic_0.webhook.url: leads to this machine, "
        "got http://127.0.0.1:8090/; expected https://host/path with a public host, "
        f"or `{remedy}` at the top of the file"
    )
    load(path, ["http://127.0.0.1:8090/"], more=remedy + "\n")


@pytest.mark.parametrize("text", ADDRESSES)
@pytest.mark.parametrize("port", [443, 8443, 9443])
def test_a_name_of_a_forbidden_address_is_refused(text: str, port: int) -> None:
    """Whatever a name looks like, its addresses count."""
    with pytest.raises(EgressRefused):
        check_address(ip_address(text), Target("example.com", port, plain=False))
    with pytest.raises(EgressRefused):
        check_address(ip_address(text), Target("localhost", 80, plain=True))


def test_an_address_outside_needs_the_usual_ports() -> None:
    """A list of networks inside opens no ports outside."""
    outside = ip_address("8.8.8.8")
    check_address(outside, Target("example.com", 8443, plain=False), LAN)
    for target in (Target("example.com", 6379, False), Target("crm.corp", 443, False)):
        with pytest.raises(EgressRefused):
            check_address(outside, target, LAN)


NEVER = (
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"),
    *("::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::169.254.169.254"),
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "fe80::1", "::"),
)


@pytest.mark.parametrize("text", NEVER)
def test_no_list_opens_the_metadata_of_a_cloud(text: str) -> None:
    """Nor nothing, nor everybody; also not by an IPv6 address that the system makes IPv4 of."""
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    for allowed in (everything, (ip_network(text),)):
        with pytest.raises(EgressRefused):
            check_address(ip_address(text), Target("example.com", 443, plain=False), allowed)


def test_a_list_that_opens_nothing_is_known() -> None:
    """Such an entry is a mistake; one that holds more than that is not."""
    wrong = ("169.254.169.254", "224.0.0.0/8", "fe80::/64", "fd00:ec2::254", "::ffff:a00:0/104")
    right = ("10.0.0.0/8", "0.0.0.0/0", "fd00::/8", "::/0", "::1", "127.0.0.0/8", "8.8.8.8")
    assert [is_never_allowed(ip_network(text)) for text in wrong] == [True] * len(wrong)
    assert [is_never_allowed(ip_network(text)) for text in right] == [False] * len(right)


def special() -> Iterator[IPv4Address | IPv6Address]:
    for value in range(0, 2**32, 2**32 // 5000):
        yield IPv4Address(value)
    for value in range(0, 2**128, 2**128 // 5000):
        yield IPv6Address(value)


def test_we_refuse_whatever_python_knows_as_special(capsys: pytest.CaptureFixture[str]) -> None:
    """The registry that comes with Python, which is another one, knows no address that we miss."""
    target, passed = Target("example.com", 443, plain=False), 0
    for address in special():
        try:
            check_address(address, target)
        except EgressRefused:
            continue
        passed += 1
        assert address.is_global or address in ip_network("64:ff9b::/96"), address
        assert not address.is_multicast
    assert passed > 3000
    tell(capsys, f"addresses let through that are not global: 0 of n={passed}")


@given(st.text(max_size=40) | st.from_regex(r"https?://[^ ]{0,30}", fullmatch=True))
def test_no_text_breaks_the_check(text: str) -> None:
    """It is refused, or names a host in plain letters."""
    try:
        target = check_url(text)
    except EgressRefused:
        return
    assert target.host.isascii()
    assert not target.plain
