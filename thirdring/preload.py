"""Imported once, by the process that all job processes are forked from, so that they start warm."""

from __future__ import annotations

from thirdring import session

__all__: list[str] = []

session.prewarm()
