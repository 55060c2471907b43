"""LiveKit's trunks and rules: reads all of them, carries out one action, says what went wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api

from sip.provision.values import Action, Kind, Rule, Trunk, Verb, World
from thirdring.access import LiveKitAccess
from thirdring.errors import PhoneError

__all__ = ["ProvisionError", "Refused", "Server", "connected"]

_Answer = TypeVar("_Answer")

# The SDK waits for answers without limit, whatever `LiveKitAPI(timeout=...)` says.
_SECONDS: Final = 10.0


class ProvisionError(PhoneError):
    """LiveKit's trunks and rules could not be read or made as configured."""


class Refused(ProvisionError):
    """LiveKit does not want one action; it may, once what others did meanwhile is known."""


class _Gone(Refused):
    """What the action is about is no longer there."""


class Server:
    """One LiveKit project; `connected` gives it."""

    def __init__(self, live: api.LiveKitAPI, url: str) -> None:
        self._sip = live.sip
        self._url = url

    async def read(self) -> World:
        """Return every trunk and every rule.

        Raises:
            ProvisionError: Why there is no answer.
        """
        trunks = await self._answer(
            self._sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest()), "list trunks"
        )
        rules = await self._answer(
            self._sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest()), "list dispatch rules"
        )
        return World(tuple(trunks.items), tuple(rules.items))

    async def do(self, action: Action) -> str:
        """Carry out one action and return the id of what it was about.

        Raises:
            Refused: LiveKit's own reason.
            ProvisionError: Why there is no answer.
        """
        what = f'{action.verb} the {action.kind} "{action.name}"'
        try:
            done = await self._answer(self._request(action), what)
        except _Gone:
            if action.verb is Verb.DELETE:
                return action.id or ""
            raise
        return done.sip_dispatch_rule_id if isinstance(done, Rule) else done.sip_trunk_id

    def _request(self, action: Action) -> Awaitable[Trunk | Rule | api.SIPTrunkInfo]:
        sip, info, identifier = self._sip, action.info, action.id or ""
        if action.verb is Verb.DELETE:
            if action.kind is Kind.TRUNK:
                return sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=identifier))
            request = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=identifier)
            return sip.delete_dispatch_rule(request)
        if isinstance(info, Trunk):
            if action.verb is Verb.UPDATE:
                return sip.update_inbound_trunk(identifier, info)
            return sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=info))
        assert info is not None
        if action.verb is Verb.UPDATE:
            return sip.update_dispatch_rule(identifier, info)
        return sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=info))

    async def _answer(self, request: Awaitable[_Answer], what: str) -> _Answer:
        try:
            async with asyncio.timeout(_SECONDS):
                return await request
        except TimeoutError:
            raise ProvisionError(
                f"livekit-server at {self._url} did not answer within {_SECONDS:g} s"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ProvisionError(
                f"livekit-server at {self._url} cannot be reached ({_reason(error)}): "
                "does it run, and is LIVEKIT_URL right?"
            ) from None
        except DecodeError:
            raise ProvisionError(self._no_server("its answer is none of LiveKit's")) from None
        except api.ServerError as error:
            raise self._failure(error, what) from None

    def _failure(self, error: api.ServerError, what: str) -> ProvisionError:
        if error.status in (401, 403):
            return ProvisionError(
                f"livekit-server at {self._url} does not accept LIVEKIT_API_KEY and "
                "LIVEKIT_API_SECRET: set the pair that belongs to it"
            )
        if "sip not connected" in error.message:
            return ProvisionError(
                f"livekit-server at {self._url} has no SIP service, because it runs without Redis: "
                "name one under `redis:` in its configuration"
            )
        if not error.message:
            return ProvisionError(self._no_server(f"HTTP status {error.status}"))
        kind = ProvisionError if error.status >= 500 else Refused
        if error.code == api.ServerErrorCode.NOT_FOUND:
            kind = _Gone
        return kind(f"LiveKit refuses to {what}: {error.message}")

    def _no_server(self, sign: str) -> str:
        return f"what answers at {self._url} is no livekit-server ({sign}): is LIVEKIT_URL right?"


@asynccontextmanager
async def connected(access: LiveKitAccess) -> AsyncIterator[Server]:
    """Talk to the LiveKit project of `access`; its URL is named in errors."""
    secret = access.api_secret.get_secret_value()
    # Without failover: the SDK would send a request again of which nobody knows whether it was
    # carried out. Whoever applies again finds out.
    async with api.LiveKitAPI(access.url, access.api_key, secret, failover=False) as live:
        yield Server(live, access.url)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return "no URL such as wss://example.livekit.cloud"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    # asyncio says "Connect call failed" for every cause; the codes of name resolution are negative.
    number, words = getattr(cause, "errno", None) or 0, getattr(cause, "strerror", None)
    return os.strerror(number) if number > 0 else words or str(cause) or type(cause).__name__
