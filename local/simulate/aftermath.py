"""What a call has left behind, and how it differs from what a scenario expects. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local.scenarios import (
    Errand,
    Expected,
    ExpectedAnswer,
    ExpectedOutcome,
    FinalState,
    Row,
    ToolOutcome,
)
from thirdring.record import RecordOutcome

__all__ = ["LISTS", "Aftermath", "unmet", "unmet_outcome", "unmet_rows"]

LISTS: Final = ("appointments", "events", "messages", "callbacks", "notifications", "errands")
"""What is expected of the store, by the names of its tables."""

_TEXTS: Final = frozenset({"title", "body", "reason", "wanted"})
"""Columns in somebody's own words, of which a part is expected."""

_PARTS: Final = frozenset({"details", "result"})
"""Columns with JSON objects, of which a part is expected."""


@dataclass(frozen=True)
class Aftermath:
    """How a call went, as in `Expected`.

    Attributes:
        rows: What the call has made, by the names of `LISTS`.
        errand: What has become of the errand that it was made for; None when it was for none.
        answers: The greeting, then what was said to each of the caller's lines.
    """

    tools: tuple[ToolOutcome, ...]
    ended: bool
    rows: Mapping[str, Sequence[Row]]
    memory: tuple[str, ...]
    opted_out: bool
    errand: Errand | None
    outcome: RecordOutcome | None
    answers: tuple[str, ...]


def unmet(expected: Expected, found: Aftermath, *, word_for_word: bool = True) -> list[str]:
    """Return what is not as expected, one line each.

    Args:
        word_for_word: Caller and agent keep to their scripts. A model may look something up twice
            or in another order, and finds words of its own: then all tools that are expected to
            work must have worked, and no answer is compared.
    """
    return list(_unmet(expected, found, word_for_word=word_for_word))


def _unmet(expected: Expected, found: Aftermath, *, word_for_word: bool) -> Iterator[str]:
    yield from _unmet_tools(expected.tools, found.tools, exactly=word_for_word)
    if expected.ended != found.ended:
        yield f"ended: the agent has {'' if found.ended else 'not '}hung up"
    yield from unmet_rows(expected, found.rows)
    if expected.memory is not None:
        yield from _unmet_facts(expected.memory, found.memory)
    if expected.opted_out not in (None, found.opted_out):
        yield f"opted_out: got {found.opted_out}"
    if expected.errand is not None:
        got = () if found.errand is None else (found.errand,)
        yield from _unmet_rows("errand", (expected.errand,), got)
    if expected.outcome is not None:
        yield from unmet_outcome(expected.outcome, found.outcome)
    if word_for_word:
        yield from _unmet_words(expected.answers, found.answers)


def _unmet_tools(
    wanted: Sequence[ToolOutcome], got: Sequence[ToolOutcome], *, exactly: bool
) -> Iterator[str]:
    if exactly and list(wanted) != list(got):
        yield f"tools: got {_spelled(got)}, expected {_spelled(wanted)}"
    if not exactly:
        worked = {tool.name for tool in got if not tool.refused}
        for name in dict.fromkeys(tool.name for tool in wanted if not tool.refused):
            if name not in worked:
                yield f"tools: {name} has not worked; used were {_spelled(got)}"


def _spelled(tools: Sequence[ToolOutcome]) -> str:
    return ", ".join(f"{t.name}{' (refused)' * t.refused}" for t in tools) or "none"


def unmet_rows(expected: FinalState, rows: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Yield what in the store is not as expected."""
    for name in LISTS:
        wanted: Sequence[Row] | None = getattr(expected, name)
        if wanted is not None:
            yield from _unmet_rows(name, wanted, rows.get(name, ()))


def _unmet_rows(name: str, wanted: Sequence[Row], got: Sequence[Row]) -> Iterator[str]:
    if len(wanted) != len(got):
        yield f"{name}: got {len(got)}, expected {len(wanted)}: {_shown(got)}"
        return
    for number, (want, have) in enumerate(zip(wanted, got, strict=True), 1):
        for key in sorted(want.model_fields_set):
            if not _fits(key, getattr(want, key), getattr(have, key)):
                value, other = getattr(have, key), getattr(want, key)
                yield f"{name} {number}, {key}: got {_text(value)}, expected {_text(other)}"


def _shown(rows: Sequence[Row]) -> str:
    shown = (", ".join(f"{key} {_text(value)}" for key, value in row) for row in rows)
    return "; ".join(shown) or "none"


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


def _fits(key: str, wanted: Any, got: Any) -> bool:
    if key in _TEXTS and wanted is not None:
        return got is not None and wanted.lower() in got.lower()
    if key in _PARTS and wanted is not None:
        return all((got or {}).get(name) == value for name, value in wanted.items())
    if hasattr(wanted, "tzinfo") and wanted.tzinfo is None and got is not None:
        return bool(got.replace(tzinfo=None) == wanted)  # what is found is in the business's zone
    return bool(wanted == got)


def _unmet_facts(wanted: Sequence[str], got: Sequence[str]) -> Iterator[str]:
    if len(wanted) != len(got) or not all(
        want.lower() in have.lower() for want, have in zip(wanted, got, strict=True)
    ):
        yield f"memory: got {list(got)!r}, expected {list(wanted)!r}"


def unmet_outcome(wanted: ExpectedOutcome, got: RecordOutcome | None) -> Iterator[str]:
    """Yield what of an outcome is not as expected."""
    value: Mapping[str, Any] = got.value if got is not None else {}
    complete = got is not None and got.complete
    if wanted.complete not in (None, complete):
        missing = ", ".join(got.missing) if got is not None else "all of it"
        yield f"outcome: {'is complete' if complete else f'lacks {missing}'}"
    for name, want in wanted.fields.items():
        if value.get(name) != want:
            yield f"outcome, {name}: got {value.get(name)!r}, expected {want!r}"


def _unmet_words(expected: Sequence[ExpectedAnswer], answers: Sequence[str]) -> Iterator[str]:
    for one in expected:
        answer = answers[one.line] if one.line < len(answers) else ""
        said = answer.lower()
        for words in one.has:
            if words.lower() not in said:
                yield f"the answer to line {one.line} lacks {words!r}: {answer!r}"
        for words in one.lacks:
            if words.lower() in said:
                yield f"the answer to line {one.line} has {words!r}: {answer!r}"
