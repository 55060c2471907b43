"""One complete call, shown as it happens."""
