"""Signing and verifying after Standard Webhooks (github.com/standard-webhooks)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

__all__ = ["sign", "verify"]

TOLERANCE = timedelta(minutes=5)

_PREFIX = "whsec_"


def _key(secret: SecretStr) -> bytes:
    try:
        return base64.b64decode(secret.get_secret_value().removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("the webhook's secret is not `whsec_` and base64") from None


def sign(secret: SecretStr, message_id: str, at: datetime, body: bytes) -> str:
    """Return the `webhook-signature` of a message: HMAC-SHA256 over `id.timestamp.body`.

    Raises:
        ValueError: The secret is not base64.
    """
    signed = b".".join((message_id.encode(), str(int(at.timestamp())).encode(), body))
    digest = hmac.digest(_key(secret), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def verify(secret: SecretStr, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether one of the signatures in `headers` is ours and not older than five minutes.

    Args:
        headers: With names in lower case, or a mapping that does not care.
    """
    message_id = headers.get("webhook-id", "")
    stamp = headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    if abs(now.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        return False
    expected = sign(secret, message_id, datetime.fromtimestamp(int(stamp), UTC), body).encode()
    given = headers.get("webhook-signature", "").encode(errors="replace").split()
    return any(hmac.compare_digest(expected, signature) for signature in given)
