"""What is said: one folder per workflow."""
