"""Kills what serves calls, at random times, and counts whether every call left its one record."""
