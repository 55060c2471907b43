"""No log shows a whole phone number, or what a terminal would obey."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from thirdring.logs import LogMask, mask_all_handlers

NUMBER = "+12025550142"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """Return a logger, and what its handler writes: message, one field, traceback."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(LogMask())
    handler.setFormatter(logging.Formatter("%(message)s room=%(room)s"))
    logger = logging.getLogger("test_logs")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)


def _fail(why: str) -> None:
    raise ValueError(why)


def test_numbers_are_masked_wherever_they_stand(
    log: tuple[logging.Logger, io.StringIO],
) -> None:
    """Arguments, fields and tracebacks keep two digits of a number, and all other text."""
    logger, written = log
    try:
        _fail(f"no line has {NUMBER}")
    except ValueError:
        logger.exception("call to %s", NUMBER, extra={"room": f"call-_{NUMBER}_x7"})
    text = written.getvalue()
    assert NUMBER not in text
    assert text.startswith("call to +…42 room=call-_+…42_x7\n")
    assert "no line has +…42" in text


def test_short_figures_stay(log: tuple[logging.Logger, io.StringIO]) -> None:
    """Offsets such as +00:00 and +100 ms are no numbers."""
    logger, written = log
    logger.warning("2026-11-21T08:20:44+00:00 is +100 ms late", extra={"room": ""})
    assert "44+00:00 is +100 ms late" in written.getvalue()


def test_no_log_obeys_a_caller(log: tuple[logging.Logger, io.StringIO]) -> None:
    """A Call-ID that clears the screen or forges a line is one line of plain text, wherever it is;
    a traceback keeps its lines."""
    logger, written = log
    evil = "SCL_\x1b[2J\r\nINFO forged\u202e"
    try:
        _fail(evil)
    except ValueError:
        logger.exception("call %s rings", evil, extra={"room": evil})
    first, *traceback = written.getvalue().splitlines()
    assert first == "call SCL_�[2J  INFO forged� rings room=SCL_�[2J  INFO forged�"
    assert traceback[0] == "Traceback (most recent call last):"
    assert len(traceback) > 3
    assert not set("\x1b\r\u202e") & set(written.getvalue())


def test_each_handler_gets_one_mask() -> None:
    """Masking twice is masking once."""
    root = logging.getLogger()
    handler = logging.NullHandler()
    root.addHandler(handler)
    try:
        mask_all_handlers()
        mask_all_handlers()
        assert [type(each) for each in handler.filters] == [LogMask]
    finally:
        root.removeHandler(handler)
