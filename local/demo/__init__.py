"""One complete call, shown as it happens."""

from local.demo.run import run

__all__ = ["run"]
