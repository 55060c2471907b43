"""What the model may do: one module per capability."""
