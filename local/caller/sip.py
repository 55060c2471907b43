"""The caller's side of one phone call as a state machine without I/O (RFC 3261, RFC 6026).

Datagrams and times go in, datagrams and events come out; `local.caller.signalling` owns the socket.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from local.caller.dialog import (
    Address,
    Dialog,
    ack_of_refusal,
    cancel_of,
    new_branch,
    reply,
    via,
)
from local.caller.sdp import Direction, SdpError, audio_offer, parse_answer
from local.caller.sip_events import Answered, Ended, Event, MediaChanged, Ringing, Signal
from local.caller.sip_message import (
    Request,
    Response,
    SipUri,
    bracketed,
    header,
    header_values,
    parse_message,
    tag_of,
)

__all__ = ["CallState", "OutgoingCall"]

_LONGEST_INTERVAL: Final = 4.0  # T2
_ATTEMPTS: Final = 64  # timers B and F are 64 * T1
_MIRRORED: Final[dict[Direction, Direction]] = {"sendonly": "recvonly", "recvonly": "sendonly"}


class CallState(StrEnum):
    """How far the call is."""

    NEW = "new"
    CALLING = "calling"
    PROCEEDING = "proceeding"
    CANCELLING = "cancelling"
    ANSWERED = "answered"
    HANGING_UP = "hanging_up"
    ENDED = "ended"


@dataclass
class _Sending:
    """A message that is sent again until something stops it."""

    data: bytes
    destination: Address
    due: float
    interval: float
    gives_up: float
    longest: float = float("inf")


class OutgoingCall:
    """One call that we place.

    Args:
        target: Whom to call.
        caller: The user part of our address, such as a phone number.
        local: Our own SIP address.
        audio: Our own RTP address.
        destination: Where the INVITE goes when that is not the target's own host.
        t1: The first retransmission interval in seconds (RFC 3261 section 17.1.1.1).
    """

    def __init__(
        self,
        target: SipUri,
        *,
        caller: str,
        local: Address,
        audio: Address,
        destination: Address | None = None,
        t1: float = 0.5,
    ) -> None:
        self.state = CallState.NEW
        self.call_id = f"{secrets.token_hex(12)}@{local[0]}"
        self._contact = SipUri(caller, *local)
        self._local = local
        self._audio = audio
        self._destination = destination or (target.host, target.port)
        self._t1 = t1
        self._session_id = secrets.randbits(31)
        self._session_version = 1
        self._invite = self._new_invite(target, caller)
        self._sequence = 1
        self._dialog: Dialog | None = None
        self._ack: bytes | None = None
        self._asked_to_end = False
        # Messages under way by method; "200" is our answer to a re-INVITE, until its ACK.
        self._sending: dict[str, _Sending] = {}
        self._replies: dict[tuple[str, str], bytes] = {}
        self._datagrams: list[tuple[bytes, Address]] = []
        self._events: list[Event] = []

    def start(self, now: float) -> None:
        """Send the INVITE."""
        self.state = CallState.CALLING
        self._send_until_answered(self._invite, self._destination, now)

    def hang_up(self, now: float) -> None:
        """End the call from our side, whatever its state: CANCEL before the answer, BYE after."""
        self._asked_to_end = True
        if self.state is CallState.PROCEEDING:
            self.state = CallState.CANCELLING
            self._send_until_answered(cancel_of(self._invite), self._destination, now)
        elif self.state is CallState.ANSWERED:
            self._bye(now)
        elif self.state is CallState.NEW:
            self._end(Ended("caller", None, "never placed"))
        # While CALLING nothing may be cancelled yet: RFC 3261 section 9.1 wants a 1xx first.

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram; what is not SIP, or of another call, changes nothing."""
        message = parse_message(data)
        if message is None or header(message.headers, "Call-ID") != self.call_id:
            return
        method = (header(message.headers, "CSeq") or "").rpartition(" ")[2].upper()
        if isinstance(message, Request):
            self._events.append(Signal("in", message.method, None, None))
            self._take_request(message, source, now)
            return
        self._events.append(Signal("in", method, message.status, message.reason))
        if method == "INVITE":
            self._take_answer(message, now)
        elif message.status >= 200:
            self._sending.pop(method, None)
            if method == "BYE":
                self._end(Ended("caller", None, "hung up"))

    def tick(self, now: float) -> None:
        """Send again what is due, and give up what has waited for too long."""
        for method, sending in list(self._sending.items()):
            if now >= sending.gives_up:
                del self._sending[method]
                self._give_up(method, now)
            elif now >= sending.due:
                sending.interval = min(sending.interval * 2, sending.longest)
                sending.due = now + sending.interval
                self._datagrams.append((sending.data, sending.destination))
                status = 200 if method == "200" else None
                self._events.append(
                    Signal("out", "INVITE" if status else method, status, "OK" if status else None)
                )

    def next_tick(self) -> float | None:
        """Return when `tick` has something to do."""
        return min((min(s.due, s.gives_up) for s in self._sending.values()), default=None)

    def take_datagrams(self) -> list[tuple[bytes, Address]]:
        """Return what is to be sent now."""
        taken, self._datagrams = self._datagrams, []
        return taken

    def take_events(self) -> list[Event]:
        """Return what has happened since the last time."""
        taken, self._events = self._events, []
        return taken

    def _new_invite(self, target: SipUri, caller: str) -> Request:
        user = f"<sip:{caller}@{bracketed(self._local[0])}>"
        headers = (
            via(self._local, new_branch()),
            ("Max-Forwards", "70"),
            ("From", f"{user};tag={secrets.token_hex(6)}"),
            ("To", f"<{replace(target, parameters='')}>"),
            ("Call-ID", self.call_id),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<{self._contact}>"),
            ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO"),
            ("User-Agent", "Thirdring caller"),
            ("Content-Type", "application/sdp"),
        )
        return Request("INVITE", str(target), headers, self._own_sdp("sendrecv"))

    def _own_sdp(self, direction: Direction) -> bytes:
        return audio_offer(
            *self._audio,
            session_id=self._session_id,
            version=self._session_version,
            direction=direction,
        )

    def _send(self, message: Request, destination: Address) -> bytes:
        data = message.to_bytes()
        self._datagrams.append((data, destination))
        self._events.append(Signal("out", message.method, None, None))
        return data

    def _send_until_answered(self, request: Request, destination: Address, now: float) -> None:
        data = self._send(request, destination)
        # Only the INVITE's interval doubles without bound (timer A against timer E).
        longest = float("inf") if request.method == "INVITE" else _LONGEST_INTERVAL
        gives_up = now + _ATTEMPTS * self._t1
        self._sending[request.method] = _Sending(
            data, destination, now + self._t1, self._t1, gives_up, longest
        )

    def _give_up(self, method: str, now: float) -> None:
        seconds = _ATTEMPTS * self._t1
        if method in ("INVITE", "CANCEL"):
            self._end(Ended("far_end", 408, f"no answer to the {method} within {seconds:g} s"))
        elif method == "BYE":
            self._end(Ended("caller", None, f"hung up, but the BYE had no answer in {seconds:g} s"))
        elif self.state is CallState.ANSWERED:
            # RFC 3261 section 13.3.1.4: an answer without its ACK ends the call.
            self._bye(now)

    def _take_answer(self, response: Response, now: float) -> None:
        """Take what the far end says to our INVITE."""
        if response.status < 200:
            self._take_provisional(response, now)
        elif response.status < 300:
            self._take_success(response, now)
        else:
            ack = ack_of_refusal(self._invite, response)
            self._send(ack, self._destination)
            self._sending.clear()
            if self.state is CallState.CANCELLING or self._asked_to_end:
                self._end(Ended("caller", response.status, "cancelled before the answer"))
            elif self._dialog is None:
                self._end(Ended("far_end", response.status, _refusal(response)))

    def _take_provisional(self, response: Response, now: float) -> None:
        if self.state not in (CallState.CALLING, CallState.PROCEEDING):
            return
        self._sending.pop("INVITE", None)
        self.state = CallState.PROCEEDING
        if response.status > 100:
            self._events.append(Ringing(response.status))
        if self._asked_to_end:
            self.hang_up(now)

    def _take_success(self, response: Response, now: float) -> None:
        self._sending.pop("INVITE", None)
        self._sending.pop("CANCEL", None)
        dialog = Dialog.from_answer(self._invite, response, self._local, self._destination)
        if self._dialog is not None and dialog.called == self._dialog.called:
            # The same 200 again: our ACK was lost (RFC 3261 section 13.2.2.4).
            assert self._ack is not None
            self._datagrams.append((self._ack, self._dialog.destination))
            self._events.append(Signal("out", "ACK", None, None))
            return
        ack = self._send(dialog.request("ACK", 1), dialog.destination)
        if self._dialog is not None or self.state is CallState.ENDED:
            # A second phone answered through a forking proxy; one call is enough.
            self._send(dialog.request("BYE", 2), dialog.destination)
            return
        self._dialog, self._ack = dialog, ack
        self.state = CallState.ANSWERED
        if self._asked_to_end:
            self._bye(now)
            return
        try:
            self._events.append(Answered(parse_answer(response.body)))
        except SdpError as error:
            self._bye(now)
            self._end(Ended("caller", 488, f"answered without usable audio: {error}"))

    def _bye(self, now: float) -> None:
        assert self._dialog is not None
        self.state = CallState.HANGING_UP
        self._sequence += 1
        request = self._dialog.request("BYE", self._sequence)
        self._send_until_answered(request, self._dialog.destination, now)

    def _take_request(self, request: Request, source: Address, now: float) -> None:
        """Take what the far end asks of us inside the call."""
        branch = header_values(request.headers, "Via")[0]
        if request.method == "ACK":
            self._sending.pop("200", None)
            return
        repeated = self._replies.get((branch, request.method))
        if repeated is not None:
            self._datagrams.append((repeated, source))
            return
        status, reason, body = self._decide(request)
        answer = reply(request, status, reason, contact=self._contact, body=body)
        data = answer.to_bytes()
        self._replies[branch, request.method] = data
        self._datagrams.append((data, source))
        self._events.append(Signal("out", request.method, status, reason))
        if request.method == "INVITE" and status == 200:
            gives_up = now + _ATTEMPTS * self._t1
            self._sending["200"] = _Sending(
                data, source, now + self._t1, self._t1, gives_up, _LONGEST_INTERVAL
            )
        if request.method == "BYE" and status == 200:
            self._sending.clear()
            self._end(Ended("far_end", None, "the far end hung up"))

    def _decide(self, request: Request) -> tuple[int, str, bytes]:
        """Return status, reason and body of our answer."""
        if self._dialog is None or not self._is_ours(request):
            return 481, "Call/Transaction Does Not Exist", b""
        if request.method in ("BYE", "OPTIONS", "INFO"):
            return 200, "OK", b""
        if request.method != "INVITE":
            return 405, "Method Not Allowed", b""
        self._session_version += 1
        if not request.body:
            return 200, "OK", self._own_sdp("sendrecv")
        try:
            audio = parse_answer(request.body)
        except SdpError:
            return 488, "Not Acceptable Here", b""
        self._events.append(MediaChanged(audio))
        return 200, "OK", self._own_sdp(_MIRRORED.get(audio.direction, audio.direction))

    def _is_ours(self, request: Request) -> bool:
        """Tell whether both tags are those of our dialog (RFC 3261 section 12.2.2)."""
        assert self._dialog is not None
        ours = tag_of(header(request.headers, "To") or "") == tag_of(self._dialog.caller)
        theirs = tag_of(header(request.headers, "From") or "") == tag_of(self._dialog.called)
        return ours and theirs

    def _end(self, ended: Ended) -> None:
        if self.state is not CallState.ENDED:
            self.state = CallState.ENDED
            self._events.append(ended)


def _refusal(response: Response) -> str:
    """Return one line on why a call was refused."""
    said = f"{response.status} {response.reason}".strip()
    if response.status in (401, 407):
        return f"{said}: the far end wants a password, and this caller has none; allow its address"
    if 300 <= response.status < 400:
        contact = header(response.headers, "Contact") or "nowhere"
        return f"{said}: the far end moved to {contact}; call that address instead"
    return said
