"""The log of a command whose terminal shows something else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thirdring.logs import LogMask

__all__ = ["log_to_file"]


@contextmanager
def log_to_file(path: Path, *, verbose: bool = False) -> Iterator[None]:
    """Keep the log out of the terminal, unless `verbose` wants it there, too."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = logging.FileHandler(path, encoding="utf-8")
    handlers: list[logging.Handler] = [file, *([logging.StreamHandler()] if verbose else [])]
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.addFilter(LogMask())
        root.addHandler(handler)
    try:
        yield
    finally:
        root.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
