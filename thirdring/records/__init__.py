"""What operators see of calls and their records: the verbs of `python ring.py records`."""
