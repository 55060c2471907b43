"""Where `guarded` was; `tools.guard` has it now."""

from tools.guard import LONGEST_RESULT, guarded

__all__ = ["LONGEST_RESULT", "guarded"]
