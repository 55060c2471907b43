"""Variables that every command needs, and what is said when one is wrong."""

from __future__ import annotations

import pytest

from thirdring.access import LiveKitAccess, port
from thirdring.errors import ConfigError


@pytest.mark.parametrize(("text", "number"), [("", 8081), ("0", 0), ("65535", 65535)])
def test_a_port_is_read(text: str, number: int) -> None:
    """An empty value counts as none."""
    assert port({"PORT": text}, "PORT", default=8081) == number


@pytest.mark.parametrize("text", ["web", "-1", "65536", "8081.5", "\u0660", " 80", "9" * 5000])
def test_what_is_no_port_is_named(text: str) -> None:
    """The variable is named in one line, its value is not shown."""
    with pytest.raises(ConfigError, match=r"^environment PORT: is no port; expected 0 to 65535$"):
        port({"PORT": text}, "PORT", default=8081)


def test_every_missing_variable_is_named() -> None:
    """Someone who starts from nothing learns all of it at once, and an empty one is missing."""
    with pytest.raises(ConfigError) as missing:
        LiveKitAccess.from_environment({"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": ""})
    named = [problem.path for problem in missing.value.problems]
    assert named == ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"]


def test_a_secret_is_not_printed() -> None:
    """Whoever logs the access shows no secret."""
    variables = {"LIVEKIT_URL": "ws://h", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "hush"}
    assert "hush" not in repr(LiveKitAccess.from_environment(variables))
