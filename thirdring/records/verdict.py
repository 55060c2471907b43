"""What a verification found, printed."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue
from rich.console import Console

from thirdring.home import Home
from thirdring.printable import printable
from thirdring.records.progress import progress
from thirdring.records.screen import json_text
from thirdring.records.verifying import Finding, Kind, Verdict, Verification
from thirdring.store import Store

__all__ = ["run_verify", "show_verdict"]

_SHOWN = 20
"""Of each kind; `--json` has them all."""


async def run_verify(
    store: Store, home: Home, err: Console, now: datetime, *, rebuild: bool
) -> Verdict:
    """Compare every journal with its record; how far it has come is on `err`.

    Raises:
        StoreError: The store cannot be used.
        OSError: A folder of journals cannot be read.
    """
    verification = Verification(home, store, rebuild=rebuild, now=now)
    going_on, archived = await verification.prepare()
    total = len(going_on) + len(archived)
    with progress(err, "Verifying journals", total) as advance:
        return await verification.run(going_on, archived, advance)


def show_verdict(out: Console, verdict: Verdict, *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        out.file.write(f"{json_text(_document(verdict), indent=2)}\n")
        return
    out.print(f"{verdict.archived:,} archived journals, {verdict.going_on:,} not collected yet")
    out.print(f"{verdict.same:,} give the stored record, byte for byte")
    if verdict.rebuilt:
        out.print(f"{verdict.rebuilt:,} missing records stored; `records replay` sends them")
    if verdict.elsewhere:
        out.print(f"{verdict.elsewhere:,} have their record on another machine")
    if verdict.orphans:
        out.print(f"{verdict.orphans:,} records have no journal here (deleted, or elsewhere)")
    for kind, count in verdict.counts.items():
        if count:
            _show_kind(out, kind, [each for each in verdict.findings if each.kind is kind])
    out.print("no differences" if verdict.ok else "differences found")


def _show_kind(out: Console, kind: Kind, findings: list[Finding]) -> None:
    new = [finding for finding in findings if not finding.known]
    if known := len(findings) - len(new):
        out.print(f"{kind}: {known:,}, known since the record was made")
    if new:
        out.print(f"{kind}: {len(new):,}", style="bold red")
    for finding in new[:_SHOWN]:
        out.print(f"  {printable(finding.journal.name)}: {finding.detail}", soft_wrap=True)
    if len(new) > _SHOWN:
        out.print(f"  and {len(new) - _SHOWN:,} more: --json has all of them")


def _document(verdict: Verdict) -> JsonValue:
    return {
        "ok": verdict.ok,
        "archived": verdict.archived,
        "going_on": verdict.going_on,
        "same": verdict.same,
        "elsewhere": verdict.elsewhere,
        "orphans": verdict.orphans,
        "rebuilt": verdict.rebuilt,
        "counts": {str(kind): count for kind, count in verdict.counts.items()},
        "findings": [
            {
                "kind": finding.kind,
                "journal": str(finding.journal),
                "call_id": finding.call_id,
                "detail": finding.detail,
                "known": finding.known,
            }
            for finding in verdict.findings
        ],
    }
