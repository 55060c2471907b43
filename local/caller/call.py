"""One live call: signalling, audio and hearing in one value, logged for measuring."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from local.caller.errors import CallNotAsPlanned
from local.caller.g711 import Samples
from local.caller.hearing import Hearing
from local.caller.keys import HeardKeys
from local.caller.media import MediaStream, Transmission
from local.caller.packets import CallLog, ReceivedPacket, Utterance, UtteranceKind
from local.caller.priority import real_time
from local.caller.rtp import RtpPacket
from local.caller.signalling import Signalling, local_host_towards, open_signalling, resolve
from local.caller.sip import OutgoingCall
from local.caller.sip_events import Answered, Ended, Event, MediaChanged, Ringing, Signal
from local.caller.sip_message import SipUri, parse_uri

__all__ = ["LiveCall", "open_call"]

_GOODBYE_TIMEOUT: Final = 3.0


class LiveCall:
    """A call that has been placed; made by `open_call`."""

    def __init__(
        self,
        media: MediaStream,
        hearing: Hearing,
        keys: HeardKeys,
        on_event: Callable[[Event, float], None],
    ) -> None:
        self.media = media
        self.hearing = hearing
        self.keys = keys
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.transmits = True
        self._on_event = on_event
        self._signalling: Signalling | None = None
        self._invited_at = time.monotonic()
        self._ringing_at: float | None = None
        self._ended_at: float | None = None
        self._takes_keys = False
        self._utterances: list[Utterance] = []

    def take_event(self, event: Event, at: float) -> None:
        """Follow the state machine."""
        match event:
            case Ringing():
                self._ringing_at = self._ringing_at or at
            case Answered(audio) if not self.answered.done():
                self._takes_keys = audio.event_payload_type is not None
                self.media.start(audio, transmit=self.transmits)
                self.answered.set_result(at)
            case MediaChanged(audio):
                self.media.redirect(audio)
            case Signal(method="BYE", status=None):
                self._ended_at = self._ended_at or at
            case Ended() if not self.ended.done():
                self._ended_at = self._ended_at or at
                self.ended.set_result(event)
            case _:
                pass
        self._on_event(event, at)

    def place(self, signalling: Signalling, call: OutgoingCall) -> None:
        """Send the INVITE."""
        self._signalling = signalling
        self._invited_at = time.monotonic()
        signalling.place(call)

    @property
    def unreachable(self) -> asyncio.Future[OSError]:
        """Done when the network says that nobody listens there."""
        assert self._signalling is not None
        return self._signalling.unreachable

    async def wait_for_answer(self, timeout: float = 60.0) -> float:
        """Wait for the 200 OK and return when it came.

        Raises:
            CallNotAsPlanned: The call was refused, rang for too long, or nobody listens there.
        """
        waiting = (self.answered, self.ended, self.unreachable)
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if self.answered.done():
            return self.answered.result()
        if self.ended.done():
            ended = self.ended.result()
            raise CallNotAsPlanned(f"the call was refused: {ended.reason}", status=ended.status)
        if self.unreachable.done():
            error = self.unreachable.result()
            raise CallNotAsPlanned(f"nobody listens at the address called: {error.strerror}")
        raise CallNotAsPlanned(f"not answered within {timeout:g} s")

    async def play(
        self, samples: Samples, text: str, kind: UtteranceKind = UtteranceKind.SAY
    ) -> Utterance:
        """Send audio and wait until its last packet has left."""
        return await self._finish(self.media.play(samples), text, kind)

    async def press(self, digits: str) -> Utterance:
        """Press keys and wait until the last packet has left.

        Raises:
            CallNotAsPlanned: The far end takes no telephone events.
        """
        if not self._takes_keys:
            raise CallNotAsPlanned("keys cannot be pressed: the far end takes no telephone events")
        return await self._finish(self.media.press(digits), digits, UtteranceKind.PRESS)

    async def _finish(
        self, transmission: Transmission, text: str, kind: UtteranceKind
    ) -> Utterance:
        sending = asyncio.ensure_future(transmission.sent())
        try:
            await asyncio.wait((sending, self.ended), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise self.cut_off_error(f"while the caller was at {text!r}")
            started_at, ended_at = sending.result()
        finally:
            transmission.cancel()
            sending.cancel()
        utterance = Utterance(kind, text, started_at, ended_at)
        self._utterances.append(utterance)
        return utterance

    def cut_off_error(self, when: str) -> CallNotAsPlanned:
        """Return what to raise when the call has ended too early."""
        reason = self.ended.result().reason
        return CallNotAsPlanned(f"{reason} {when}")

    async def hang_up(self) -> None:
        """CANCEL or BYE, and wait for its answer."""
        assert self._signalling is not None
        self.media.cut_off()
        if self.unreachable.done() and not self.answered.done():
            return
        if not self.ended.done():
            self._signalling.hang_up()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.ended), _GOODBYE_TIMEOUT)

    def log(self) -> CallLog:
        """Return everything so far, for measuring and recording."""
        return CallLog(
            invited_at=self._invited_at,
            ringing_at=self._ringing_at,
            answered_at=self.answered.result() if self.answered.done() else None,
            ended_at=self._ended_at or time.monotonic(),
            sent=tuple(self.media.sent),
            received=tuple(self.media.received),
            utterances=tuple(self._utterances),
        )


def _ignore(event: Event, at: float) -> None:
    pass


@contextlib.asynccontextmanager
async def open_call(
    target: str | SipUri,
    *,
    caller: str = "+12025550199",
    transmit: bool = True,
    on_event: Callable[[Event, float], None] = _ignore,
) -> AsyncIterator[LiveCall]:
    """Place a call and hang up at the end of the block.

    Args:
        target: Such as `sip:+12025550142@127.0.0.1:5060`.
        caller: The user part of our own address.
        transmit: Send silence from the answer on; False sends no RTP until told to.
        on_event: Called in the event loop with each event and its monotonic time.

    Raises:
        SipUriError: The target is not a SIP address for UDP.
        CallerError: Its host is unknown.
    """
    uri = parse_uri(target) if isinstance(target, str) else target
    destination = resolve(uri)
    host = local_host_towards(destination)
    loop = asyncio.get_running_loop()
    hearing, keys = Hearing(), HeardKeys()

    def heard(packet: ReceivedPacket) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed before the thread ends
            loop.call_soon_threadsafe(hearing.feed, packet)

    def pressed(packet: RtpPacket) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(keys.feed, packet)

    async with MediaStream(host, heard, pressed) as media:
        live = LiveCall(media, hearing, keys, on_event)
        live.transmits = transmit
        async with open_signalling(host, live.take_event) as signalling:
            call = OutgoingCall(
                uri,
                caller=caller,
                local=signalling.address,
                audio=media.address,
                destination=destination,
            )
            live.place(signalling, call)
            try:
                with real_time():
                    yield live
            finally:
                if not live.ended.done():
                    await live.hang_up()
