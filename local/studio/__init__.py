"""What whoever writes workflows works with: a new folder, a drawing, simulated callers."""
