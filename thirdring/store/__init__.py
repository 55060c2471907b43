"""What is kept: records and their deliveries, callers, appointments."""

from thirdring.store.opening import open_store
from thirdring.store.store import Connection, Row, Store, from_text, to_text

__all__ = ["Connection", "Row", "Store", "from_text", "open_store", "to_text"]
