"""Variables from files: `.env.local`, and those that a running `python ring.py up` offers."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values

from thirdring.errors import PhoneError
from thirdring.home import Home

__all__ = ["load_environment", "offer", "offered", "shadowed"]

# Taken whole or not at all: half of someone's own access to a service and half of the local one
# would send a real key to the wrong place.
_TOGETHER = (
    frozenset({"LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"}),
    frozenset({"OPENAI_BASE_URL", "OPENAI_API_KEY"}),
    frozenset({"THIRDRING_WEBHOOK_URL", "THIRDRING_WEBHOOK_SECRET"}),
)

_OURS = ("LIVEKIT_", "OPENAI_", "THIRDRING_")


def load_environment(folder: Path | None = None) -> None:
    """Add to the environment what `.env.local` and a running `ring.py up` say.

    What is set already stays. An empty value counts as none, as in a copy of `.env.example`, and is
    taken out: a container sets it as it stands, and libraries would call an address of no letters.

    Args:
        folder: Where `.env.local` is; the current one by default.
    """
    for name in [name for name in os.environ if name.startswith(_OURS) and not os.environ[name]]:
        del os.environ[name]
    for name, value in dotenv_values((folder or Path.cwd()) / ".env.local").items():
        if value and not os.environ.get(name):
            os.environ[name] = value
    values = offered(Home.from_environment(os.environ))
    own = shadowed(values, os.environ)
    os.environ.update({name: value for name, value in values.items() if name not in own})


def shadowed(values: Mapping[str, str], environ: Mapping[str, str]) -> frozenset[str]:
    """Return the names among `values` that `environ` keeps from being used."""
    own = {name for name in values if environ.get(name)}
    for group in _TOGETHER:
        if own & group:
            own |= group & values.keys()
    return frozenset(own)


def offered(home: Home) -> dict[str, str]:
    """Return the variables of the `ring.py up` that runs in this home now, none when none does."""
    try:
        with _file(home).open("rb") as file:
            # Whoever offers holds the lock for as long as it lives, so a file without a lock is
            # what a killed one left behind.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}  # a home that cannot be used is refused by whoever needs one
    except BlockingIOError:
        values = dotenv_values(_file(home), interpolate=False)
        return {name: value for name, value in values.items() if value is not None}
    return {}


@contextlib.contextmanager
def offer(home: Home, values: Mapping[str, str]) -> Iterator[Path]:
    """Offer variables to every command that starts meanwhile, in a file that only we may read.

    Raises:
        PhoneError: Another one offers already.
    """
    path = _file(home)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PhoneError(f"another `ring.py up` runs in {home.root}: stop it first") from None
        try:
            file.truncate()
            file.writelines(f"{name}={_quoted(value)}\n" for name, value in values.items())
            file.flush()
            yield path
        finally:
            path.unlink(missing_ok=True)


def _quoted(value: str) -> str:
    # A path may have an apostrophe in it.
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _file(home: Home) -> Path:
    return home.root / "up.env"
