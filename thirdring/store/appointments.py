"""The appointments of a business: which times exist, which are taken, and how one is reserved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from thirdring.hours import hours_on
from thirdring.settings import Business, OpeningHours
from thirdring.store import agenda
from thirdring.store.store import Connection, Row, Store, from_text, to_text

__all__ = ["Appointment", "AppointmentBook", "Reservation", "Slot", "slots_of"]

_FIRST_NUMBER = 1001


@dataclass(frozen=True)
class Slot:
    """A time that can be booked.

    Attributes:
        id: Made of the local day and time, as in `s_20261124_0900`.
        starts_at: In the business's time zone, as is `ends_at`.
    """

    id: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Reservation:
    """Who wants which slot.

    Attributes:
        key: The tool call that asks; the same key never reserves twice.
    """

    slot: Slot
    name: str
    phone: str | None
    call_id: str
    key: str


@dataclass(frozen=True)
class Appointment:
    """A slot that is someone's.

    Attributes:
        reference: What the caller is told, as in `RC-1042`; unique within the business.
    """

    reference: str
    starts_at: datetime
    ends_at: datetime
    name: str
    phone: str | None
    call_id: str


def slots_of(business: Business, day: date) -> Iterator[Slot]:
    """Yield every slot of a day, free or not, in order; none on a closed day or holiday."""
    length = timedelta(minutes=business.slot_minutes)
    seen = set()
    for span in hours_on(business, day):
        starts_at, closes_at = _bounds(business, day, span)
        while starts_at + length <= closes_at:
            local = starts_at.astimezone(business.time_zone)
            slot_id = f"s_{local:%Y%m%d_%H%M}"
            # When the clocks go back one hour comes twice: its second time is not offered.
            if slot_id not in seen:
                seen.add(slot_id)
                yield Slot(slot_id, local, (starts_at + length).astimezone(business.time_zone))
            starts_at += length


def _bounds(business: Business, day: date, span: OpeningHours) -> tuple[datetime, datetime]:
    """In UTC, where a day with a change of clocks has no gap and no repetition."""
    return (
        datetime.combine(day, span.opens, business.time_zone).astimezone(UTC),
        datetime.combine(day, span.closes, business.time_zone).astimezone(UTC),
    )


class AppointmentBook:
    """The appointments of one business in the store."""

    def __init__(self, store: Store, business: Business) -> None:
        self._store = store
        self._business = business

    async def reserve(self, wish: Reservation, *, now: datetime) -> Appointment | None:
        """Reserve a slot, or return None when it is someone else's, or kept for someone else.

        Asking again, by the same tool call or by the same call for the same slot and name,
        returns the appointment that was made the first time.
        """
        return await self._store.write(lambda connection: self._reserve(connection, wish, now))

    async def find(self, wish: Reservation) -> Appointment | None:
        """Return the appointment that `reserve` would return without making one."""
        return await self._store.read(lambda connection: self._find(connection, wish))

    async def of_call(self, call_id: str) -> list[Appointment]:
        """Return what was booked during a call, in order of time."""
        return await self._store.read(
            lambda connection: [
                _appointment(row)
                for row in connection.execute(
                    "SELECT * FROM appointments WHERE business = ? AND call_id = ?"
                    " ORDER BY starts_at",
                    (self._business.slug, call_id),
                )
            ]
        )

    def _reserve(
        self, connection: Connection, wish: Reservation, now: datetime
    ) -> Appointment | None:
        business = self._business.slug
        agenda.lock(connection, business)
        same = self._find(connection, wish)
        if same is not None:
            return same
        if agenda.taken(connection, business, wish.slot, call_id=wish.call_id, now=now):
            return None
        agenda.release(connection, business, wish.call_id)
        connection.execute(
            "INSERT INTO appointments (business, starts_at, ends_at, reference, patient_name,"
            " patient_phone, call_id, idempotency_key, booked_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                business,
                to_text(wish.slot.starts_at),
                to_text(wish.slot.ends_at),
                self._next_reference(connection),
                wish.name,
                wish.phone,
                wish.call_id,
                wish.key,
                to_text(now),
            ),
        )
        booked = connection.execute(
            "SELECT * FROM appointments WHERE idempotency_key = ?", (wish.key,)
        ).fetchone()
        assert booked is not None
        return _appointment(booked)

    def _find(self, connection: Connection, wish: Reservation) -> Appointment | None:
        rows = connection.execute(
            "SELECT * FROM appointments WHERE idempotency_key = ?"
            " OR business = ? AND starts_at = ? AND call_id = ?",
            (wish.key, self._business.slug, to_text(wish.slot.starts_at), wish.call_id),
        ).fetchall()
        same = [row for row in rows if row["idempotency_key"] == wish.key]
        known = [_appointment(row) for row in same or rows]
        return next((each for each in known if same or _is_the_same(each, wish)), None)

    def _next_reference(self, connection: Connection) -> str:
        row = connection.execute(
            "INSERT INTO reference_numbers (business, last) VALUES (?, ?) ON CONFLICT (business)"
            " DO UPDATE SET last = reference_numbers.last + 1 RETURNING last",
            (self._business.slug, _FIRST_NUMBER),
        ).fetchone()
        assert row is not None
        return f"{_initials(self._business)}-{row['last']}"


def _initials(business: Business) -> str:
    """Letters that can be spelled on the phone: those of the name, else of the slug."""
    for text in (business.name, business.slug.replace("_", " ")):
        letters = [word[0].upper() for word in text.split() if word[0].isascii()]
        initials = "".join(letter for letter in letters if letter.isalpha())[:3]
        if initials:
            return initials
    return "B"


def _is_the_same(appointment: Appointment, wish: Reservation) -> bool:
    return appointment.name.casefold() == wish.name.casefold()


def _appointment(row: Row) -> Appointment:
    return Appointment(
        reference=row["reference"],
        starts_at=from_text(row["starts_at"]),
        ends_at=from_text(row["ends_at"]),
        name=row["patient_name"],
        phone=row["patient_phone"],
        call_id=row["call_id"],
    )
