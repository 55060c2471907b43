"""SIP messages as values, parsed from a datagram and written to one (RFC 3261 section 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from thirdring.errors import PhoneError

__all__ = [
    "Headers",
    "Request",
    "Response",
    "SipUri",
    "SipUriError",
    "bracketed",
    "header",
    "header_values",
    "parse_message",
    "parse_uri",
    "tag_of",
    "uri_of",
]

Headers = tuple[tuple[str, str], ...]
"""Names as written, in order; compact names are already the full ones."""

_COMPACT: Final = {
    "c": "Content-Type",
    "f": "From",
    "i": "Call-ID",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "t": "To",
    "v": "Via",
}
_URI = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[^@;?]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:;?\[\]@\s]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<parameters>(?:;[^;?\s]*)*)(?:\?\S*)?$",
    re.IGNORECASE,
)
_COMMAS = re.compile(r',(?=(?:[^"<>]|"[^"]*"|<[^>]*>)*$)')


class SipUriError(PhoneError):
    """A SIP address cannot be used."""


@dataclass(frozen=True)
class SipUri:
    """As in `sip:+12025550142@127.0.0.1:5060;transport=udp`.

    Attributes:
        host: Without the brackets of IPv6.
        parameters: As written, each with its `;`.
    """

    user: str | None
    host: str
    port: int = 5060
    parameters: str = ""

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        return f"sip:{user}{bracketed(self.host)}:{self.port}{self.parameters}"


def bracketed(host: str) -> str:
    """Return a host as URIs and Via write it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def parse_uri(text: str) -> SipUri:
    """Return the address.

    Raises:
        SipUriError: It is not one, or needs something else than UDP.
    """
    match = _URI.match(text.strip())
    if match is None or int(match["port"] or 0) > 65535:
        raise SipUriError(f"{text!r} is not a SIP address such as sip:+12025550142@127.0.0.1:5060")
    parameters = match["parameters"]
    if match["scheme"].lower() == "sips" or re.search(r";transport=(?!udp)", parameters.lower()):
        raise SipUriError(f"{text!r} asks for another transport; this caller speaks UDP only")
    return SipUri(match["user"], match["host"].strip("[]"), int(match["port"] or 5060), parameters)


@dataclass(frozen=True)
class Request:
    method: str
    uri: str
    headers: Headers
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the datagram; Content-Length is added."""
        return _to_bytes(f"{self.method} {self.uri} SIP/2.0", self.headers, self.body)


@dataclass(frozen=True)
class Response:
    status: int
    reason: str
    headers: Headers
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the datagram; Content-Length is added."""
        return _to_bytes(f"SIP/2.0 {self.status} {self.reason}", self.headers, self.body)


def _to_bytes(start: str, headers: Headers, body: bytes) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def parse_message(data: bytes) -> Request | Response | None:
    """Return the message, or None for what is not one (a keep-alive, noise)."""
    head, _, body = data.partition(b"\r\n\r\n")
    # RFC 3261 section 7.3.1: a line that begins with white space goes on with the one before.
    lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace").lstrip()).split("\r\n")
    headers = _headers(lines[1:])
    length = header(headers, "Content-Length")
    if length is not None and length.isascii() and length.isdigit():
        body = body[: int(length)]
    start = lines[0].split(" ", 2)
    if len(start) < 3 or any(header(headers, n) is None for n in ("Via", "Call-ID", "CSeq")):
        return None
    if start[0] == "SIP/2.0":
        if not (start[1].isascii() and start[1].isdigit() and 100 <= int(start[1]) < 700):
            return None
        return Response(int(start[1]), start[2], headers, body)
    if start[2] != "SIP/2.0":
        return None
    return Request(start[0], start[1], headers, body)


def _headers(lines: list[str]) -> Headers:
    pairs = (line.partition(":") for line in lines if ":" in line)
    named = ((name.strip(), value.strip()) for name, _, value in pairs)
    return tuple((_COMPACT.get(name.lower(), name), value) for name, value in named)


def header(headers: Headers, name: str) -> str | None:
    """Return the first header of this name."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def header_values(headers: Headers, name: str) -> tuple[str, ...]:
    """Return every value of this name, those that share a line apart (Via, Record-Route)."""
    lines = (value for key, value in headers if key.lower() == name.lower())
    return tuple(part.strip() for line in lines for part in _COMMAS.split(line))


def uri_of(value: str) -> str:
    """Return the address in a From, To, Contact or Route header."""
    match = re.search(r"<([^>]*)>", value)
    # Without angle brackets the parameters belong to the header (RFC 3261 section 20.10).
    return match[1] if match else value.partition(";")[0].strip()


def tag_of(value: str) -> str | None:
    """Return the tag of a From or To header."""
    match = re.search(r";\s*tag=([^;\s]+)", value.partition(">")[2] or value, re.IGNORECASE)
    return match[1] if match else None
