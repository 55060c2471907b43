"""Talk to the agent without a phone: in a terminal, or on a page in a browser."""
