"""What `docs/tools.md` says of tools is so."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from livekit.agents import llm

import tools
from tests.peers.tool_calls import calling
from tests.samples import SECRET
from thirdring import config, workflow
from thirdring.store.sqlite import SqliteStore
from tools.http_tools import http_tool

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([a-z_]+)`", PAGE.partition("## What there is")[2].partition("\n## ")[0]))
MADE = {"look_up", "switch_language"}
"""Tools that are made for a workflow or a business."""


def _block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def _tools_of_all_modules() -> Iterator[llm.FunctionTool[..., Any] | llm.RawFunctionTool[..., Any]]:
    for module in pkgutil.iter_modules(tools.__path__):
        found = vars(importlib.import_module(f"tools.{module.name}")).values()
        for value in found:
            if isinstance(value, llm.FunctionTool | llm.RawFunctionTool):
                yield value


def test_every_tool_is_on_the_page() -> None:
    """The table names each tool of each module, and none that is not there."""
    names = {tool.info.name for tool in _tools_of_all_modules()}
    assert names <= NAMED
    assert NAMED - names - MADE - {"destinations", "thirdring"} == set()


def test_the_file_on_the_page_is_right(tmp_path: Path) -> None:
    """`thirdring.yaml` as the page shows it passes every check, and its tools can be made."""
    path = tmp_path / "thirdring.yaml"
    path.write_text(_block("yaml"))
    environ = {
        "THIRDRING_WEBHOOK_URL": "https://crm.example/hook",
        "THIRDRING_WEBHOOK_SECRET": SECRET.get_secret_value(),
        "SHOP_TOKEN": "sk-shop-123456",
        "STOCK_TOKEN": "sk-stock-123456",
    }
    settings = config.load(path, workflows=workflow.discover(), environ=environ)
    (bakery,) = settings.businesses
    schemas = [http_tool(tool).info.raw_schema for tool in bakery.tools.values()]
    assert [schema["name"] for schema in schemas] == ["find_order", "cancel_order"]
    assert "sk-shop" not in json.dumps(schemas)


async def test_the_tool_on_the_page_works(tmp_path: Path) -> None:
    """It asks for a yes, and orders then."""
    (tmp_path / "cakes.py").write_text(_block("python"))
    spec = importlib.util.spec_from_file_location("cakes", tmp_path / "cakes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    async with (
        SqliteStore(tmp_path / "store.db") as store,
        calling(store, [module.order_cake]) as call,
    ):
        assert (await call.use("order_cake", size="huge")).startswith("REFUSED: There are small")
        ordered = await call.agreed("order_cake", size="large", pieces=2)
    assert ordered == "Ordered for Riverside Clinic: 14 dollars."
