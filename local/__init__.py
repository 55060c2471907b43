"""The outside world on one machine. The product never imports it."""
