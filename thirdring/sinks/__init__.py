"""Where records go: each kind of receiver is one module."""
