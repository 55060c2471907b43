"""What tests of the courier share."""

from __future__ import annotations

from pathlib import Path

import pytest

from thirdring.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home of its own."""
    return Home(tmp_path / "home")
