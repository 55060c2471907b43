"""Our own SIP side: SIP and RTP here, a LiveKit room there.

For a laptop, an office PBX or a test bench, where no livekit-sip, Redis or public address is at
hand. The worker sees the same room and the same participant as from livekit-sip. The TLS inside the
SIP stack's wheel is old: UDP and TCP on trusted networks only.
"""

from sip.gateway.addresses import GatewayAddress
from sip.gateway.call import Patience
from sip.gateway.server import fixed_at_start, serve

__all__ = ["GatewayAddress", "Patience", "fixed_at_start", "serve"]
