"""The old place of `thirdring.guarded_http`."""

from thirdring.guarded_http import GuardedClient, Resolve, resolve

__all__ = ["GuardedClient", "Resolve", "resolve"]
