"""The calendars of businesses: our own, and those that are kept elsewhere."""

from tools.calendars.business import BusinessCalendar, calendar_of, speakable
from tools.calendars.calendar import Calendar, Entry, entry_id

__all__ = ["BusinessCalendar", "Calendar", "Entry", "calendar_of", "entry_id", "speakable"]
