"""A real CalDAV server (Radicale) on loopback, with a login and one empty calendar."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
from pydantic import SecretStr

from thirdring.outside_settings import CalDavSettings

__all__ = ["CalDavServer", "caldav_server"]

LOGIN = ("robin", "a secret: with colons")

_CONFIGURATION = """
[server]
hosts = 127.0.0.1:{port}
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {folder}/collections
"""


@dataclass
class CalDavServer:
    """One of its calendars, as its user sees it through another client than ours."""

    url: str

    @property
    def settings(self) -> CalDavSettings:
        username, password = LOGIN
        return CalDavSettings(url=self.url, username=username, password=SecretStr(password))

    def replace(self, name: str, text: str) -> None:
        """Change an event."""
        body = text.replace("\n", "\r\n").encode()
        httpx.put(f"{self.url}{name}.ics", content=body, auth=LOGIN).raise_for_status()

    def put(self, name: str, text: str) -> None:
        """Store what stands between BEGIN:VCALENDAR and END:VCALENDAR."""
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:tests", *text.strip().splitlines()]
        body = "\r\n".join(line.strip() for line in [*lines, "END:VCALENDAR", ""])
        answer = httpx.put(f"{self.url}{name}.ics", content=body.encode(), auth=LOGIN)
        assert answer.status_code == 201, answer.text

    def entries(self) -> list[str]:
        """Return all events, as iCalendar text."""
        found = httpx.request("PROPFIND", self.url, headers={"depth": "1"}, auth=LOGIN).text
        names = {part.split("<")[0] for part in found.split(f"{httpx.URL(self.url).path}")[1:]}
        return [
            httpx.get(f"{self.url}{name}", auth=LOGIN).text.replace("\r\n", "\n")
            for name in sorted(names)
            if name.endswith(".ics")
        ]


@contextmanager
def caldav_server(folder: Path) -> Iterator[Callable[[], CalDavServer]]:
    """Start Radicale with its files in `folder`; yield what makes an empty calendar."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "users").write_text(":".join(LOGIN) + "\n")
    configuration = folder / "radicale.conf"
    configuration.write_text(_CONFIGURATION.format(port=port, folder=folder))
    command = [sys.executable, "-m", "radicale", "--config", str(configuration)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as server:
        try:
            _await_ready(f"http://127.0.0.1:{port}/")
            yield lambda: _calendar(f"http://127.0.0.1:{port}/robin/{uuid4()}/")
        finally:
            server.kill()


def _calendar(url: str) -> CalDavServer:
    assert httpx.request("MKCALENDAR", url, auth=LOGIN).status_code == 201
    return CalDavServer(url)


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(url, timeout=1)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "Radicale does not answer"
            time.sleep(0.05)
        else:
            return
