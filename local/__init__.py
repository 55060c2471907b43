"""The outside world on one machine. The product never imports it."""

import os

# The speech models run on onnxruntime, which would note its use in the home folder for Microsoft.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
