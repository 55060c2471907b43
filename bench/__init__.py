"""Measurements against the bounds that we hold ourselves to; nothing imports it."""
