"""How to reach livekit-server, from the environment that every LiveKit tool uses."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, SecretStr

from thirdring.errors import ConfigError, PhoneError, Problem

__all__ = ["LIVEKIT_VARIABLES", "LiveKitAccess", "port", "require", "require_free"]

LIVEKIT_VARIABLES: Final = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")


def require(environ: Mapping[str, str], *names: str) -> None:
    """Check that these variables are set.

    Raises:
        ConfigError: Names every one that is missing.
    """
    expected = (
        "a value in the environment or in .env.local (`ring.py up` sets it for a local server)"
    )
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise ConfigError(
            [Problem("environment", 0, 0, name, "is not set", None, expected) for name in missing]
        )


def port(environ: Mapping[str, str], name: str, *, default: int) -> int:
    """Return the TCP port that this variable holds, 0 for a free one.

    Raises:
        ConfigError: It holds something else.
    """
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise ConfigError([Problem("environment", 0, 0, name, "is no port", None, "0 to 65535")])
    return int(text)


def require_free(host: str, number: int, name: str) -> None:
    """Check that nobody listens at this TCP port; LiveKit's worker would end as if all were well.

    Raises:
        PhoneError: Somebody does; names the variable that moves the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, number), family=family).close()
    except OSError as error:
        raise PhoneError(
            f"port {number} of {host} cannot be used ({error.strerror}): set {name} to another, "
            "or to 0 for any"
        ) from None


class LiveKitAccess(BaseModel):
    """URL and key pair of a livekit-server (docs.livekit.io, "environment variables")."""

    model_config = ConfigDict(frozen=True)

    url: str
    api_key: str
    api_secret: SecretStr

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read `LIVEKIT_URL`, `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`.

        Raises:
            ConfigError: Names every variable that is missing.
        """
        require(environ, *LIVEKIT_VARIABLES)
        url, key, secret = (environ[name] for name in LIVEKIT_VARIABLES)
        return cls(url=url, api_key=key, api_secret=SecretStr(secret))
