"""Keeps phone numbers out of logs, whoever writes them."""

from __future__ import annotations

import logging
import re
from typing import Final

__all__ = ["NumberMask", "mask_all_handlers"]

_NUMBER: Final = re.compile(r"\+\d{5,13}(\d{2})(?!\d)")


def _masked(text: str) -> str:
    return _NUMBER.sub(r"+…\1", text)


class NumberMask(logging.Filter):
    """Leaves the last two digits of every E.164 number in message, fields and traceback.

    Belongs on handlers, not on loggers: so it also sees what libraries and job processes log, such
    as LiveKit's names of rooms and participants.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record in place and keep it."""
        record.msg, record.args = _masked(record.getMessage()), None
        for name, value in vars(record).items():
            if isinstance(value, str) and "+" in value:
                setattr(record, name, _masked(value))
        if record.exc_info and not record.exc_text:
            # A formatter prints the text that is there already.
            record.exc_text = _masked(logging.Formatter().formatException(record.exc_info))
        return True


def mask_all_handlers() -> None:
    """Put the mask on every handler of the root logger, once."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(each, NumberMask) for each in handler.filters):
            handler.addFilter(NumberMask())
