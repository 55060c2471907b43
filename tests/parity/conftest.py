"""The gateway in front of a real livekit-server, as its own tests have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from livekit import api

from sip.gateway import GatewayAddress
from tests.parity.gateway_process import gateway_process
from tests.parity.media_call import Site
from tests.sip.conftest import access
from tests.sip.gateway.conftest import run_gateway, server
from thirdring.access import LiveKitAccess

__all__ = ["access", "run_gateway", "server"]


@pytest.fixture(scope="session")
def gateway(access: LiveKitAccess) -> Iterator[GatewayAddress]:
    """Run a gateway in another process for the whole session."""
    with gateway_process(access) as address:
        yield address


@pytest.fixture
def site(gateway: GatewayAddress, access: LiveKitAccess, server: api.LiveKitAPI) -> Site:
    """Return where to place calls that a test answers itself."""
    return Site(gateway, access, server)
