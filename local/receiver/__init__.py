"""A small HTTP receiver for records."""
