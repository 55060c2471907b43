"""What is kept: records and their deliveries, appointments."""

from thirdring.store.sqlite import Store, from_text, to_text

__all__ = ["Store", "from_text", "to_text"]
