"""The process that sees every record delivered: `thirdring.courier.service`."""

from thirdring.courier.service import run

__all__ = ["run"]
