"""What operators see and do about callers and the messages that they have left."""
