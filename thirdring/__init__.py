"""What happens to every call, whatever it is about."""

from typing import Final

__all__ = ["AGENT_NAME", "__version__"]

__version__: Final = "0.1.0"

AGENT_NAME: Final = "thirdring"
"""The name under which calls are dispatched to our worker; dispatch is always explicit."""
