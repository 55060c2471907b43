"""How much was tried, at the end of the run."""

from __future__ import annotations

from collections import Counter

from _pytest.terminal import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the sums of what the tests counted."""
    sums: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.when == "call" and "tests/injection/" in report.nodeid:
            sums.update({name: int(str(n)) for name, n in report.user_properties})
    for name, n in sums.items():
        terminalreporter.write_line(f"injection: n={n} {name}")
