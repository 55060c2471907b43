"""What `ring.py up` tells those who have variables of their own."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from local.parts.stack import Stack
from local.parts.up import _show_own
from tests.samples import settings
from thirdring.home import Home


def test_it_says_where_records_go_instead(tmp_path: Path) -> None:
    """The user's model is kept; the webhook gets nothing, and the file that does is named."""
    received = tmp_path / "webhook.jsonl"
    stack = Stack(Home(tmp_path), settings(), {}, None, ("127.0.0.1", 5060), received, ())
    out = StringIO()
    own = {"OPENAI_API_KEY", "THIRDRING_HOME", "THIRDRING_WEBHOOK_URL", "THIRDRING_WEBHOOK_SECRET"}
    _show_own(Console(file=out, width=80), stack, frozenset(own))
    kept, webhook = out.getvalue().splitlines()
    assert kept.startswith("OPENAI_API_KEY is set already")
    assert "not used while this runs" in webhook
    assert webhook.endswith(f"written to {received}")
