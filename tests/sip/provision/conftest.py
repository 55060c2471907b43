"""A LiveKit project: livekit-server with Redis, without livekit-sip."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest
from livekit import api
from pydantic import SecretStr

from local.parts.livekit_server import Keys, livekit_server
from local.parts.part import running
from local.parts.redis import redis_server
from sip.provision.values import World
from tests.peers.background import in_background
from thirdring.access import LiveKitAccess


@dataclass(frozen=True)
class Project:
    """A LiveKit project as its owner sees it.

    Attributes:
        redis: Where its trunks are kept.
    """

    access: LiveKitAccess
    live: api.LiveKitAPI
    redis: tuple[str, int]

    async def world(self) -> World:
        """Return all that it has."""
        trunks = await self.live.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
        rules = await self.live.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
        return World(tuple(trunks.items), tuple(rules.items))

    async def make_trunk(self, **fields: object) -> api.SIPInboundTrunkInfo:
        """Make a trunk as its owner would, elsewhere."""
        request = api.CreateSIPInboundTrunkRequest(trunk=api.SIPInboundTrunkInfo(**fields))  # type: ignore[arg-type]  # any field
        return await self.live.sip.create_inbound_trunk(request)

    async def make_rule(self, **fields: object) -> api.SIPDispatchRuleInfo:
        """Make a rule that leads into one room, as its owner would, elsewhere."""
        direct = api.SIPDispatchRule(
            dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name="lobby")
        )
        rule = api.SIPDispatchRuleInfo(rule=direct, **fields)  # type: ignore[arg-type]  # any field
        request = api.CreateSIPDispatchRuleRequest(dispatch_rule=rule)
        return await self.live.sip.create_dispatch_rule(request)

    async def empty(self) -> None:
        """Take everything away."""
        world, sip = await self.world(), self.live.sip
        for rule in world.rules:
            identifier = rule.sip_dispatch_rule_id
            await sip.delete_dispatch_rule(
                api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=identifier)
            )
        for trunk in world.trunks:
            await sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id))


@pytest.fixture(scope="session")
def livekit_with_redis(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[LiveKitAccess, tuple[str, int]]]:
    """Run both for the whole session."""
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    folder, keys = tmp_path_factory.mktemp("project"), Keys()
    redis = redis_server(folder / "redis.log")
    server = livekit_server(folder / "livekit-server.log", keys, redis=redis.address)
    # In its first 0.1 s livekit-server does not hear SIGTERM.
    parts = [redis, replace(server, grace=0.2)]
    access = LiveKitAccess(
        url=server.address, api_key=keys.api_key, api_secret=SecretStr(keys.api_secret)
    )
    with in_background(running(parts)):
        yield access, ("127.0.0.1", redis.ports[0].number)


@pytest.fixture
async def project(
    livekit_with_redis: tuple[LiveKitAccess, tuple[str, int]],
) -> AsyncIterator[Project]:
    """Return the project without any trunk or rule."""
    access, redis = livekit_with_redis
    secret = access.api_secret.get_secret_value()
    async with api.LiveKitAPI(access.url, access.api_key, secret) as live:
        project = Project(access, live, redis)
        await project.empty()
        yield project
