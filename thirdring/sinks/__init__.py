"""Where records go: each kind of receiver is one module."""

from thirdring.sinks.opening import open_sinks
from thirdring.sinks.sink import Sink

__all__ = ["Sink", "open_sinks"]
