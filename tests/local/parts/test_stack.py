"""All parts together are what a call needs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from livekit import api

from local.parts.probes import answers_sip
from local.parts.stack import Ports, Stack, Wanted, plan
from thirdring import AGENT_NAME
from thirdring.errors import ConfigError, PartError
from thirdring.home import Home

pytestmark = pytest.mark.server


async def test_every_part_answers(stack: Stack) -> None:
    """The gateway, the model and livekit-server answer where the stack says that they are."""
    url, key, secret = (
        stack.environ[f"LIVEKIT_{name}"] for name in ("URL", "API_KEY", "API_SECRET")
    )
    async with api.LiveKitAPI(url, key, secret) as live, httpx.AsyncClient() as client:
        assert (await live.room.list_rooms(api.ListRoomsRequest())) is not None
        denied = await client.get(f"{stack.environ['OPENAI_BASE_URL']}/realtime")
    assert denied.status_code == 401
    assert await answers_sip(*stack.sip_address, stack.number)()


async def test_the_worker_takes_a_job(stack: Stack) -> None:
    """Once the stack is ready a dispatch by the agent's name gets an agent."""
    url, key, secret = (
        stack.environ[f"LIVEKIT_{name}"] for name in ("URL", "API_KEY", "API_SECRET")
    )
    async with api.LiveKitAPI(url, key, secret) as live:
        request = api.CreateAgentDispatchRequest(room="stack-test", agent_name=AGENT_NAME)
        await live.agent_dispatch.create_dispatch(request)
        wanted = api.ListParticipantsRequest(room="stack-test")
        async with asyncio.timeout(30):
            while not (await live.room.list_participants(wanted)).participants:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # livekit-server tells it by a webhook only
        await live.room.delete_room(api.DeleteRoomRequest(room="stack-test"))


def test_each_part_has_a_log(stack: Stack) -> None:
    """Whoever looks for a reason finds a log per part."""
    assert set(stack.log_paths) == {
        *("livekit-server", "model", "gateway", "worker", "receiver", "courier")
    }
    assert all(path.exists() for path in stack.log_paths.values())


def test_secrets_are_made_anew(tmp_path: Path, stack: Stack) -> None:
    """Two runs share no key and no port."""
    configuration = Path(__file__).parents[3] / "thirdring.yaml"
    other = plan(Home(tmp_path), configuration=configuration, ports=Ports(), wanted=Wanted())
    assert [name for name, value in other.environ.items() if stack.environ[name] == value] == [
        "LIVEKIT_API_KEY"
    ]


def test_a_wrong_configuration_starts_nothing(tmp_path: Path) -> None:
    """The file is read before any part is."""
    broken = tmp_path / "thirdring.yaml"
    broken.write_text("version: 1\nbusinesses: {}\n")
    with pytest.raises(ConfigError, match=r"thirdring\.yaml"):
        plan(Home(tmp_path), configuration=broken, ports=Ports(), wanted=Wanted())


def test_a_chat_model_needs_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--llm-base-url` alone says what is missing."""
    monkeypatch.delenv("THIRDRING_LLM_MODEL", raising=False)
    configuration = Path(__file__).parents[3] / "thirdring.yaml"
    wanted = Wanted(llm_base_url="http://127.0.0.1:9/v1")
    with pytest.raises(PartError, match="--llm-model"):
        plan(Home(tmp_path), configuration=configuration, ports=Ports(), wanted=wanted)
