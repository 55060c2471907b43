"""A server of the OpenAI Realtime GA protocol that runs on one machine without network or key.

Silero hears, Moonshine writes, a script (or any OpenAI-compatible chat model) decides, Piper
speaks. `python -m local.realtime --port 8765` serves `ws://127.0.0.1:8765/v1/realtime`.

One connection is one `session.RealtimeSession`. What it consists of can be read one by one:
`protocol` (events), `configuration` (session.update), `conversation` (items), `turns` (who
speaks), `hearing`, `voice`, `brain`, `responses` (one reply), `usage`, `reflex`, and `server`
(HTTP, key, start and stop).
"""

from __future__ import annotations
