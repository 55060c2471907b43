"""What both ends of an answered call know, and the messages built on it (RFC 3261 section 12)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from local.caller.sip_message import (
    Headers,
    Request,
    Response,
    SipUri,
    SipUriError,
    bracketed,
    header,
    header_values,
    parse_uri,
    uri_of,
)

__all__ = ["Address", "Dialog", "ack_of_refusal", "cancel_of", "new_branch", "reply", "via"]

Address = tuple[str, int]
"""Host and UDP port."""

_ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO"


def new_branch() -> str:
    """Return a transaction's id with the cookie of RFC 3261 section 8.1.1.7."""
    return f"z9hG4bK{secrets.token_hex(8)}"


def via(local: Address, branch: str) -> tuple[str, str]:
    """Return the Via header of a request from `local`."""
    return ("Via", f"SIP/2.0/UDP {bracketed(local[0])}:{local[1]};rport;branch={branch}")


@dataclass(frozen=True)
class Dialog:
    """The state that an answer to our INVITE made.

    Attributes:
        caller: Our From, with tag.
        called: The far end's To, with tag.
        remote_target: Its Contact: what in-dialog requests are addressed to.
        routes: Proxies that want to stay on the path, nearest first.
        fallback: Where the INVITE went, for a Contact that is no address of ours to use.
    """

    call_id: str
    caller: str
    called: str
    remote_target: str
    routes: tuple[str, ...]
    local: Address
    fallback: Address

    @classmethod
    def from_answer(cls, invite: Request, answer: Response, local: Address, to: Address) -> Dialog:
        """Return the dialog of an INVITE and its 2xx (RFC 3261 section 12.1.2)."""
        contact = header_values(answer.headers, "Contact")
        return cls(
            call_id=header(invite.headers, "Call-ID") or "",
            caller=header(invite.headers, "From") or "",
            called=header(answer.headers, "To") or "",
            remote_target=uri_of(contact[0]) if contact else invite.uri,
            routes=tuple(reversed(header_values(answer.headers, "Record-Route"))),
            local=local,
            fallback=to,
        )

    @property
    def destination(self) -> Address:
        """Where the next request goes: the first proxy, else the far end itself."""
        hop = uri_of(self.routes[0]) if self.routes else self.remote_target
        try:
            uri = parse_uri(hop)
        except SipUriError:
            return self.fallback
        return (uri.host, uri.port)

    def request(self, method: str, sequence: int) -> Request:
        """Return an in-dialog request (RFC 3261 section 12.2.1.1, loose routing)."""
        headers: Headers = (
            via(self.local, new_branch()),
            *(("Route", route) for route in self.routes),
            ("Max-Forwards", "70"),
            ("From", self.caller),
            ("To", self.called),
            ("Call-ID", self.call_id),
            ("CSeq", f"{sequence} {method}"),
        )
        return Request(method, self.remote_target, headers)


def ack_of_refusal(invite: Request, refusal: Response) -> Request:
    """Return the ACK of a final answer that is not 2xx (RFC 3261 section 17.1.1.3)."""
    sequence = (header(invite.headers, "CSeq") or "1").split()[0]
    headers: Headers = (
        ("Via", header_values(invite.headers, "Via")[0]),
        ("Max-Forwards", "70"),
        ("From", header(invite.headers, "From") or ""),
        ("To", header(refusal.headers, "To") or ""),
        ("Call-ID", header(invite.headers, "Call-ID") or ""),
        ("CSeq", f"{sequence} ACK"),
    )
    return Request("ACK", invite.uri, headers)


def cancel_of(invite: Request) -> Request:
    """Return the CANCEL of an INVITE: same branch, same CSeq number (RFC 3261 section 9.1)."""
    sequence = (header(invite.headers, "CSeq") or "1").split()[0]
    kept = ("via", "from", "to", "call-id", "max-forwards")
    headers = tuple(pair for pair in invite.headers if pair[0].lower() in kept)
    return Request("CANCEL", invite.uri, (*headers, ("CSeq", f"{sequence} CANCEL")))


def reply(
    request: Request, status: int, reason: str, *, contact: SipUri, body: bytes = b""
) -> Response:
    """Return our answer to an in-dialog request (RFC 3261 section 8.2.6.2)."""
    copied = ("via", "from", "to", "call-id", "cseq", "record-route")
    headers = tuple(pair for pair in request.headers if pair[0].lower() in copied)
    extra: Headers = (("Contact", f"<{contact}>"), ("Allow", _ALLOW))
    if body:
        extra = (*extra, ("Content-Type", "application/sdp"))
    return Response(status, reason, (*headers, *extra), body)
