"""A call as Markdown (CommonMark 0.31 and GitHub's): nothing that was said in it is markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

from thirdring.printable import printable
from thirdring.record import Record
from thirdring.records.moments import Lane, Moment, clock, facts, moments, when

__all__ = ["escaped", "markdown"]

# Whatever may open markup within a line, autolinks, formulas and emoji included: each is ASCII
# punctuation, which a backslash makes plain (CommonMark section 2.4).
_MARKUP = re.compile(r"[\\`*_{}\[\]<>|~&$]|:(?=[^\s\d])|(?<=www)\.", re.IGNORECASE)
_NAMES = {
    Lane.CALLER: "Caller",
    Lane.AGENT: "Agent",
    Lane.TOOL: "Tool",
    Lane.KEYS: "Key",
    Lane.FAULT: "Fault",
}


def escaped(text: str) -> str:
    """Return text of a stranger for the middle of a line of Markdown, which shows just this."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(printable(text).split()))


def markdown(record: Record) -> str:
    """Return the call: what is known of it, then what happened, one paragraph each."""
    return "\n".join(
        [
            f"# Call of {when(record.opened_at)} UTC",
            "",
            *(f"- **{name}**: {escaped(value)}" for name, value in facts(record)),
            "",
            "## What happened",
            "",
            *_paragraphs(moments(record)),
        ]
    )


def _paragraphs(happened: list[Moment]) -> Iterator[str]:
    if not happened:
        yield "Nothing was said."
        yield ""
    for moment in happened:
        note = f" *({moment.note})*" if moment.note else ""
        yield f"**{_NAMES[moment.lane]}** {clock(moment.start)}: {escaped(moment.text)}{note}"
        yield ""
