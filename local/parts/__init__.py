"""Programs that a call needs, started on 127.0.0.1 and stopped with the command."""
