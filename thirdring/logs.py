"""Keeps phone numbers, and what a terminal would obey, out of logs, whoever writes them."""

from __future__ import annotations

import logging
import re
from typing import Final

from thirdring.printable import printable

__all__ = ["LogMask", "mask_all_handlers"]

_NUMBER: Final = re.compile(r"\+\d{5,13}(\d{2})(?!\d)")
_OF_MANY_LINES: Final = frozenset({"exc_text", "stack_info"})


def _masked(text: str) -> str:
    return printable(_NUMBER.sub(r"+…\1", text))


def _masked_lines(text: str) -> str:
    return "\n".join(map(_masked, text.split("\n")))


class LogMask(logging.Filter):
    """Leaves the last two digits of every E.164 number in message, fields and traceback.

    What a caller has chosen, such as a Call-ID, can neither steer the terminal nor begin a line
    that looks like the log's. Belongs on handlers, not on loggers: so it also sees what libraries
    and job processes log, such as LiveKit's names of rooms and participants.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record in place and keep it."""
        record.msg, record.args = _masked(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            # A formatter prints the text that is there already.
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        for name, value in vars(record).items():
            if isinstance(value, str):
                masked = _masked_lines(value) if name in _OF_MANY_LINES else _masked(value)
                setattr(record, name, masked)
        return True


def mask_all_handlers() -> None:
    """Put the mask on every handler of the root logger, once."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(each, LogMask) for each in handler.filters):
            handler.addFilter(LogMask())
