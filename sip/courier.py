"""The courier together with what it hears of livekit-server, where it is to."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from thirdring.courier import service
from thirdring.following import Configuration
from thirdring.home import Home
from thirdring.settings import Settings

__all__ = ["run"]


async def run(
    home: Home,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    once: bool,
    followed: Configuration | None = None,
) -> None:
    """Run the courier, which listens for livekit-server if `environ` names a port.

    Args:
        followed: Whose settings count as they change; those that are given always when None.
        once: As `thirdring.courier.run` has it; nothing is listened for.

    Raises:
        ConfigError: The port is none, or a variable that leads to livekit-server is missing.
        PhoneError: As `thirdring.courier.run` does, or the port is taken.
    """
    async with AsyncExitStack() as around:
        if not once and environ.get("THIRDRING_COURIER_PORT"):
            # All of LiveKit's API, for those who need it.
            from sip import server_events  # noqa: PLC0415

            # What rang before is held again before the courier collects journals.
            def latest() -> Settings:
                return settings if followed is None else followed.settings

            await around.enter_async_context(server_events.receiving(home, latest, environ))
        changes = None if followed is None or once else followed.changes()
        await service.run(home, settings, once=once, changes=changes)
