"""The gateway in front of a real livekit-server, as its own tests have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from livekit import api

from local.parts.stack import Stack
from sip.gateway import GatewayAddress
from tests.parity.gateway_process import gateway_process
from tests.parity.long_calls import LongCalls, begin_long_calls
from tests.parity.media_call import Site
from tests.peers.background import in_background
from tests.sip.conftest import access
from tests.sip.gateway.conftest import run_gateway, server
from thirdring.access import LiveKitAccess

__all__ = ["access", "run_gateway", "server"]

ENDS_OF_LONG_CALLS = "test_each_call_leaves_one_record_with_the_right_end"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the test that asks how the long calls ended last of all: they are over by then."""
    items.sort(key=lambda item: item.name == ENDS_OF_LONG_CALLS)


@pytest.fixture(scope="session")
def gateway(access: LiveKitAccess) -> Iterator[GatewayAddress]:
    """Run a gateway in another process for the whole session."""
    with gateway_process(access) as address:
        yield address


@pytest.fixture
def site(gateway: GatewayAddress, access: LiveKitAccess, server: api.LiveKitAPI) -> Site:
    """Return where to place calls that a test answers itself."""
    return Site(gateway, access, server)


@pytest.fixture(scope="session")
def long_calls(stack: Stack) -> Iterator[LongCalls]:
    """Begin with the calls that take half a minute, on a loop of their own."""
    with in_background(begin_long_calls(stack)) as calls:
        yield calls
