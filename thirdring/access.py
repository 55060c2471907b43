"""How to reach livekit-server, from the environment that every LiveKit tool uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr

from thirdring.errors import ConfigError, Problem

__all__ = ["LiveKitAccess"]


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
        names = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
        missing = [name for name in names if not environ.get(name)]
        if missing:
            raise ConfigError(
                [
                    Problem(
                        file="environment",
                        line=0,
                        column=0,
                        path=name,
                        what="is not set",
                        got=None,
                        expected="a value in the environment or in .env.local "
                        "(`python ring.py up` sets it for a local server)",
                    )
                    for name in missing
                ]
            )
        url, key, secret = (environ[name] for name in names)
        return cls(url=url, api_key=key, api_secret=SecretStr(secret))
