"""A key for OpenAI's own models, not one that merely opens the local model."""

from __future__ import annotations

import os

from thirdring.environment import offered
from thirdring.errors import PhoneError
from thirdring.home import Home

__all__ = ["require_openai_key"]


def require_openai_key(home: Home) -> None:
    """Return when there is a key.

    Raises:
        PhoneError: There is none, or only that of a running `ring.py up`.
    """
    key = os.environ.get("OPENAI_API_KEY")
    if not key or key == offered(home).get("OPENAI_API_KEY"):
        raise PhoneError(
            "--openai needs a key: set OPENAI_API_KEY in the environment or .env.local"
        )
