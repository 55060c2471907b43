"""`trunks` of `thirdring.yaml`: what LiveKit could not tell apart, and secrets in the file."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.thirdring.test_config import GOOD, WORKFLOWS
from thirdring import config
from thirdring.errors import ConfigError
from thirdring.settings import Settings

ENVIRON = {
    "THIRDRING_WEBHOOK_URL": "https://records.example/hook",
    "THIRDRING_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "TRUNK_PASSWORD": "correct-horse",
}
FIRST, SECOND = "+12025550142", "+12025550143"
LINE = GOOD.count("\n") + 2
"""Where the first trunk stands."""

APART = (
    "expected each line in one trunk, with the addresses of all its providers, "
    "or allowed_numbers without a common one"
)


def load(folder: Path, *trunks: str) -> Settings:
    path = folder / "thirdring.yaml"
    path.write_text(f"{GOOD}trunks:\n" + "".join(f"  {trunk}\n" for trunk in trunks))
    return config.load(path, workflows=WORKFLOWS, environ=ENVIRON)


def problems(folder: Path, *trunks: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, *trunks)
    return [str(p).removeprefix(f"{folder}/thirdring.yaml:") for p in caught.value.problems]


def test_a_trunk_has_every_line_unless_it_names_some(tmp_path: Path) -> None:
    """Who names nothing gets all; addresses are networks and the password is a secret."""
    (all_of_them,) = load(tmp_path, "office:\n    allowed_addresses: [192.0.2.7]").trunks
    guarded = f'p: {{lines: ["{SECOND}"], auth_username: u, auth_password: "${{TRUNK_PASSWORD}}"}}'
    (one,) = load(tmp_path, guarded).trunks
    assert all_of_them.lines == (FIRST, SECOND)
    assert all_of_them.allowed_addresses == (ip_network("192.0.2.7/32"),)
    assert one.lines == (SECOND,)
    assert one.auth_password is not None
    assert one.auth_password.get_secret_value() == "correct-horse"
    assert "correct-horse" not in repr(one)


def test_without_the_section_there_are_no_trunks(tmp_path: Path) -> None:
    """Most files need none: the gateway goes without."""
    path = tmp_path / "thirdring.yaml"
    path.write_text(GOOD)
    assert config.load(path, workflows=WORKFLOWS, environ=ENVIRON).trunks == ()


def test_trunks_may_share_a_line_when_their_callers_differ(tmp_path: Path) -> None:
    """LiveKit looks at the caller as well as at the number."""
    shared = ("a: {allowed_numbers: ['+12025550198']}", "b: {allowed_numbers: ['+12025550199']}")
    assert [trunk.lines for trunk in load(tmp_path, *shared).trunks] == [(FIRST, SECOND)] * 2


@pytest.mark.parametrize(
    ("trunks", "expected"),
    [
        (
            ("a: {}", "b: {}"),
            f"{LINE + 1}:3 trunks.b: has a line for the same callers as the trunk a, got b; "
            + APART,
        ),
        (
            (f'a: {{lines: ["{FIRST}"]}}', f'b: {{lines: ["{SECOND}", "{FIRST}"]}}'),
            f"{LINE + 1}:31 trunks.b.lines[1]: has a line for the same callers as the trunk a, "
            f"got {FIRST}; {APART}",
        ),
        (
            ("a: {allowed_numbers: ['+12025550198']}", f'b: {{lines: ["{FIRST}"]}}'),
            f"{LINE + 1}:15 trunks.b.lines[0]: has a line for the same callers as the trunk a, "
            f"got {FIRST}; {APART}",
        ),
        (
            (f'a: {{lines: ["{FIRST}", "{FIRST}"]}}',),
            f"{LINE}:31 trunks.a.lines[1]: is there twice, got {FIRST}; expected each line once",
        ),
        (
            ('a: {lines: ["+12025550199"]}',),
            f"{LINE}:15 trunks.a.lines[0]: is the number of no line, got +12025550199; expected "
            f'one of {FIRST}, {SECOND} (did you mean "{SECOND}"?)',
        ),
        (
            ("a: {auth_username: u}",),
            f"{LINE}:3 trunks.a.auth_password: is missing; "
            "expected the key `auth_password` beside `auth_username`",
        ),
        (
            ("a: {auth_username: u, auth_password: hunter2}",),
            f"{LINE}:40 trunks.a.auth_password: stands in the file, got ***; "
            "expected ${NAME}, and the password in the environment or .env.local",
        ),
        (
            ('a: {auth_username: u, auth_password: "$${TRUNK_PASSWORD}"}',),
            f"{LINE}:40 trunks.a.auth_password: stands in the file, got ***; "
            "expected ${NAME}, and the password in the environment or .env.local",
        ),
        (
            ("a: {alowed_numbers: []}",),
            f"{LINE}:7 trunks.a.alowed_numbers: unknown key, got alowed_numbers; expected one of "
            "allowed_addresses, allowed_numbers, auth_password, auth_username, lines "
            '(did you mean "allowed_numbers"?)',
        ),
        (
            ("A: {}",),
            f"{LINE}:3 trunks.A: is no name for a trunk, got A; "
            "expected 1 to 63 of a-z, 0-9, _ and -",
        ),
        (("a: {lines: []}",), f"{LINE}:14 trunks.a.lines: is empty, got a list; expected at least"),
        # LiveKit SIP challenges nobody when one of the two is empty.
        (
            ('a: {auth_username: , auth_password: "${TRUNK_PASSWORD}"}',),
            f"{LINE}:22 trunks.a.auth_username: is not a string, got nothing; expected text",
        ),
        (
            ("a: {auth_username: u, auth_password: }",),
            f"{LINE}:40 trunks.a.auth_password: is not a string, got ",
        ),
        (("a: {lines: }",), f"{LINE}:14 trunks.a.lines: is not a list, got nothing; expected a"),
        (("a:",), f"{LINE}:5 trunks.a: is not a mapping, got nothing; expected keys with values"),
    ],
)
def test_a_mistake_has_its_place(tmp_path: Path, trunks: tuple[str, ...], expected: str) -> None:
    """One problem each, at the value, with what would be right."""
    (problem,) = problems(tmp_path, *trunks)
    assert problem.startswith(expected)
