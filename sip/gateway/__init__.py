"""Our own SIP side: SIP and RTP here, a LiveKit room there."""
