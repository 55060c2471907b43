"""Stands in for the program livekit-sip where it is not: it answers OPTIONS and takes no call.

It writes down how it was started (`stand_in.py <file>`), which is all that can be seen without it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from pathlib import Path


def main() -> None:
    """Listen where the configuration says, over UDP and TCP, until killed."""
    config = json.loads(os.environ["SIP_CONFIG_BODY"])
    seen = {name: os.environ.get(name) for name in ("LIVEKIT_WS_URL", "LIVEKIT_API_KEY")}
    Path(sys.argv[1]).write_text(json.dumps({"config": config, **seen, "argv": sys.argv[2:]}))
    at = (config["listen_ip"], config["sip_port"])
    with socket.create_server(at), socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(at)
        while True:
            request, sender = udp.recvfrom(65536)
            # RFC 3261 section 8.2.6.2: what a response copies from its request.
            copied = re.findall(rb"(?mi)^((?:Via|From|To|Call-ID|CSeq):.*?)\r$", request)
            lines = (b"SIP/2.0 200 OK", *copied, b"Content-Length: 0", b"", b"")
            udp.sendto(b"\r\n".join(lines), sender)


if __name__ == "__main__":
    main()
