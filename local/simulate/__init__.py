"""Simulated callers: each scenario of a workflow is one call by text, judged by what it leaves."""

from local.simulate.command import Chosen, Result, Simulation, run, simulate
from local.simulate.models import AgentModel

__all__ = ["AgentModel", "Chosen", "Result", "Simulation", "run", "simulate"]
