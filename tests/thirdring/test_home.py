"""The folder that holds all state, and the id that tells it from others."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from thirdring.errors import ConfigError
from thirdring.home import Home


def _id(root: Path) -> str:
    return Home(root).id


def test_a_home_keeps_its_id(tmp_path: Path) -> None:
    """It is 32 hex digits, the same at every look, in a file that only we may read."""
    first = Home(tmp_path).id
    assert len(bytes.fromhex(first)) == 16
    assert Home(tmp_path).id == first
    assert stat.S_IMODE((tmp_path / "id").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["id"]


def test_all_who_start_at_once_agree_on_the_id(tmp_path: Path) -> None:
    """None of 8 readers of any of 50 new homes gets another id, or half of one."""
    with ThreadPoolExecutor(8) as pool:
        for number in range(50):
            home = Home(tmp_path / str(number)).made()
            assert len(set(pool.map(_id, [home.root] * 8))) == 1


def test_two_homes_differ(tmp_path: Path) -> None:
    """Each makes an id of its own."""
    roots = [tmp_path / name for name in ("one", "other")]
    for root in roots:
        Home(root).made()
    assert _id(roots[0]) != _id(roots[1])


@pytest.mark.parametrize("text", ["", "abc\n", "g" * 32, "0" * 33, "\xff" * 32])
def test_an_id_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the file and says how to mend it."""
    (tmp_path / "id").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=rf"{tmp_path / 'id'} .*is no id; expected .*remove it"):
        _id(tmp_path)


def test_a_home_that_is_not_there_has_no_id(tmp_path: Path) -> None:
    """What the system said stands in the message."""
    with pytest.raises(ConfigError, match="No such file or directory"):
        _id(tmp_path / "nowhere")
