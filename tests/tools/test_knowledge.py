"""Looking up what stands in the policies of a workflow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.peers.tool_calls import Conversation, calling
from thirdring import workflow
from thirdring.store.sqlite import SqliteStore
from thirdring.workflow import tool_names
from tools.knowledge import look_up_in, of

PARKING = "# Where to park\n\nThere are ten places behind the house of {{ business_name }}.\n"
BILLS = "Bills are due within 30 days.\n"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """Return the folder of a workflow's texts."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "parking.md").write_text(PARKING)
    (folder / "bills.md").write_text(BILLS)
    (folder / "notes.txt").write_text("no topic")
    return folder


@pytest.fixture
async def call(policies: Path, tmp_path: Path) -> AsyncIterator[Conversation]:
    async with (
        SqliteStore(tmp_path / "store.db") as store,
        calling(store, [look_up_in(policies)]) as made,
    ):
        yield made


def topics(folder: Path) -> list[str]:
    """Return the topics that the model may ask for."""
    schema = look_up_in(folder).info.raw_schema
    found: list[str] = schema["parameters"]["properties"]["topic"]["enum"]
    return found


async def test_a_topic_is_read_out_of_its_file(call: Conversation) -> None:
    """With the facts of the business in it."""
    heard = await call.use("look_up", topic="parking")
    assert heard == PARKING.strip().replace("{{ business_name }}", "Riverside Clinic")


def test_the_model_sees_the_topics_and_their_titles(policies: Path) -> None:
    """The index is made of the files' names and first headings."""
    description = look_up_in(policies).info.raw_schema["description"]
    assert topics(policies) == ["bills", "parking"]
    assert description.endswith("Topics: bills, parking (Where to park).")


async def test_the_folder_as_it_is_now_decides(policies: Path, call: Conversation) -> None:
    """A text that comes or goes while the worker runs is offered or not, and read as it stands."""
    tool = look_up_in(policies)
    (policies / "pets.md").write_text("Dogs may come in.")
    (policies / "bills.md").unlink()
    (policies / "parking.md").write_text("There is none.")
    assert tool.info.raw_schema["parameters"]["properties"]["topic"]["enum"] == ["parking", "pets"]
    assert await call.use("look_up", topic="pets") == "Dogs may come in."
    assert await call.use("look_up", topic="parking") == "There is none."
    assert (await call.use("look_up", topic="bills")).startswith("REFUSED: ")


@pytest.mark.parametrize(
    "topic",
    ["", "prices", "../instructions", "parking.md", "/etc/passwd", "notes", "PARKING", "."],
)
async def test_what_is_no_topic_is_refused_with_those_there_are(
    call: Conversation, topic: str
) -> None:
    """Paths lead nowhere."""
    heard = await call.use("look_up", topic=topic)
    assert heard.startswith("REFUSED: ")
    assert "bills, parking" in heard


def test_a_folder_without_texts_is_refused(tmp_path: Path) -> None:
    """The worker does not start with a tool that knows nothing."""
    with pytest.raises(ValueError, match=r"has no texts: one \.md file per topic"):
        of(str(tmp_path / "__init__.py"))


def test_a_text_that_would_be_cut_is_refused(policies: Path) -> None:
    """The model would not hear its end."""
    (policies / "long.md").write_text("x" * 8193)
    with pytest.raises(ValueError, match=r"long\.md: long is longer than 8 KiB; split it"):
        look_up_in(policies)


def test_every_text_of_every_workflow_can_be_read() -> None:
    """Each folder of policies belongs to a workflow that has `look_up`."""
    root = Path(workflow.__file__).parents[1] / "workflows"
    found = workflow.discover()
    for folder in root.glob("*/policies"):
        assert "look_up" in tool_names(found[folder.parent.name]), folder
