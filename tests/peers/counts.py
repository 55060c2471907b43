"""Says beside a zero how much was tried."""

from __future__ import annotations

import sys

import pytest

__all__ = ["tell"]


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Show a line although the test passes; on stderr, which several processes of tests share."""
    with capsys.disabled():
        sys.stderr.write(f"\n{text}\n")
