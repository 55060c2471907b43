"""Makes the folder of a new workflow from a small one that works."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from thirdring.errors import WrongUse

__all__ = ["make"]

_MODEL: Final = Path(__file__).with_name("new_workflow")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def make(name: str, workflows: Path) -> Path:
    """Return the new folder.

    Args:
        name: That of the workflow and of its folder.
        workflows: Where it is made.

    Raises:
        WrongUse: It is no name for a workflow, there is one of that name already, or the folder
            cannot be made; then nothing is left of it.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise WrongUse(
            f"{name!a} is no name for a workflow; expected 1 to 40 lower-case letters, digits and "
            "_, a letter first, and no keyword of Python"
        )
    folder = workflows / name
    if folder.exists():
        raise WrongUse(f"{folder} is there already; choose another name")
    try:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=workflows) as unfinished:
            made = Path(unfinished, name)
            made.mkdir()
            for source in sorted(path for path in _MODEL.iterdir() if path.is_file()):
                _copy(source, made / source.name, name)
            shutil.copymode(workflows, made)
            made.rename(folder)
    except OSError as error:
        raise WrongUse(f"{folder}: cannot be made ({error.strerror})") from None
    return folder


def _copy(source: Path, target: Path, name: str) -> None:
    title = name.replace("_", " ").capitalize()
    text = source.read_text(encoding="utf-8")
    text = text.replace("new_workflow", name).replace("New workflow", title)
    target.write_text(text, encoding="utf-8")
    shutil.copymode(source, target)
