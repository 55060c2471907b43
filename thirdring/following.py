"""A configuration that is taken up again when its files change, while programs run.

What is broken, or still being written, changes nothing: the last good settings stay. Of the
environment, `${NAME}`s keep the values that the process began with.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from thirdring import config
from thirdring.config_files import Stamp, stamp
from thirdring.errors import ConfigError
from thirdring.settings import Settings
from thirdring.workflow import Workflow

__all__ = ["Configuration", "Taken"]

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0

_QUIET_SECONDS: Final = 0.2
"""An editor that writes in two steps is done when nothing has changed for so long."""

_MOST_WAITS: Final = 5


@dataclass(frozen=True)
class Taken:
    """Settings, and the state of the files when they were looked at last.

    A process can hand this to another one, which then need not read the files.
    """

    settings: Settings
    seen: Stamp


class Configuration:
    """The settings of one process; safe to use from several threads.

    Args:
        path: Of the file or the folder.
        load: Reads it.
        taken: What is known of it already.
        tells: Whether this process logs what is wrong; of several, one is enough.
    """

    def __init__(
        self, path: Path, load: Callable[[], Settings], taken: Taken, *, tells: bool = True
    ) -> None:
        self._path = path
        self._load = load
        self._taken = taken
        self._tells = tells
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wrong: ConfigError | None = None
        self._told = True
        self._fixed: Callable[[Settings], Mapping[str, object]] = lambda _: {}

    @classmethod
    def opened(
        cls, path: Path, workflows: Mapping[str, Workflow], environ: Mapping[str, str]
    ) -> Self:
        """Read the configuration at `path`.

        Raises:
            ConfigError: There is something wrong with it.
        """
        load = partial(config.load, path, workflows=workflows, environ=dict(environ))
        seen = stamp(path)  # before it is read: a change meanwhile must show
        return cls(path, load, Taken(load(), seen))

    @classmethod
    def handed(
        cls,
        path: Path,
        workflows: Mapping[str, Workflow],
        environ: Mapping[str, str],
        taken: Taken,
    ) -> Self:
        """Return the configuration that another process has read, which tells what is wrong."""
        load = partial(config.load, path, workflows=workflows, environ=dict(environ))
        return cls(path, load, taken, tells=False)

    @property
    def settings(self) -> Settings:
        """The last that were good."""
        return self._taken.settings

    @property
    def taken(self) -> Taken:
        """What another process may begin with."""
        return self._taken

    @property
    def wrong(self) -> ConfigError | None:
        """What is wrong with the files as they are now; None when their settings are in use."""
        return self._wrong

    def say_of(self, fixed: Callable[[Settings], Mapping[str, object]]) -> None:
        """Log of these values, by the names that they have in the file, that they wait for a start.

        They are what this process cannot change while it runs.
        """
        self._fixed = fixed

    def refresh(self) -> bool:
        """Look at the files, and read them if they have changed.

        Blocks for the time of reading, and for a moment when they have changed just now.

        Returns:
            Whether there are other settings than before.
        """
        with self._lock:
            now = stamp(self._path)
            if now == self._taken.seen:
                self._tell()
                return False
            now = _settled(self._path, now)
            try:
                settings = self._load()
            except ConfigError as error:
                self._taken = Taken(self._taken.settings, now)
                self._wrong, self._told = error, False
                return False
            except Exception:  # a mistake of ours must not keep a caller from the last good ones
                self._taken = Taken(self._taken.settings, now)
                logger.exception("the configuration could not be read")
                return False
            if stamp(self._path) != now:
                return False  # perhaps read in the middle of a change; the next look reads it all
            return self._take(settings, now)

    async def current(self) -> Settings:
        """Return the settings as they are on disk now, or the last good ones; ends `follow`."""
        self._stop.set()
        await asyncio.to_thread(self.refresh)
        return self.settings

    async def changes(self) -> AsyncIterator[Settings]:
        """Look every second, and yield other settings when there are any."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await asyncio.to_thread(self.refresh):
                yield self.settings

    def follow(self) -> None:
        """Look every second on a thread of its own, until `current` is asked for."""
        threading.Thread(target=self._keep_looking, name="configuration", daemon=True).start()

    def _keep_looking(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.refresh()

    def _take(self, settings: Settings, now: Stamp) -> bool:
        was_wrong, self._wrong, self._told = self._wrong, None, True
        before = self.settings
        others = settings != before
        self._taken = Taken(settings, now)
        if self._tells and others:
            logger.info(
                "configuration taken up: the next call is served by it",
                extra={
                    "file": str(self._path),
                    "businesses": len(settings.businesses),
                    "lines": sum(len(one.lines) for one in settings.businesses),
                },
            )
            wanted, had = self._fixed(settings), self._fixed(before)
            for name in wanted:
                if wanted[name] != had[name]:
                    logger.warning("%s has changed: it takes effect at the next start", name)
        elif self._tells and was_wrong is not None:
            logger.info("configuration is good again, and as it was before: %s", self._path)
        return others

    def _tell(self) -> None:
        """Say once what is wrong, when it is not just half of a change."""
        if self._told or self._wrong is None:
            return
        self._told = True
        if self._tells:
            logger.error(
                "configuration has changed and is broken (%d problems); calls go on with the last "
                "good one:\n%s",
                len(self._wrong.problems),
                self._wrong,
            )


def _settled(path: Path, now: Stamp) -> Stamp:
    """Wait until nothing has changed for a moment; not for long, if it never ends."""
    for _ in range(_MOST_WAITS):
        changed_at = max((max(one[3:]) for one in now), default=0) / 1e9
        age = time.time() - changed_at
        if not 0 <= age < _QUIET_SECONDS:  # a clock that was set back must not keep anybody
            break
        time.sleep(_QUIET_SECONDS - age)
        now = stamp(path)
    return now
