"""The gateway's side of a journal when disk and job do not do as expected."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sip.gateway.invitation import Invitation, invitation
from sip.gateway.journal import CallJournal
from sip.inbound import Departure
from tests.samples import SetClock, at, ended, opened
from tests.sip.gateway.ledger import journals, record_of
from thirdring.calls import EndReason
from thirdring.home import Home
from thirdring.journal import HandedOver, Journal, Opened, Writer
from thirdring.settings import Business, Line

GAVE_UP = Departure(EndReason.ABANDONED)
LINE = Line(number="+12025550142", workflow="patient_questions")
CLINIC = Business(slug="clinic", name="Clinic", time_zone=ZoneInfo("UTC"), lines=(LINE,))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).made()


@pytest.fixture
def invited() -> Invitation:
    return invitation(LINE.number, peer="sip:+12025550199@127.0.0.1", sip_call_id="a", headers={})


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def gateways(invited: Invitation, home: Home, clock: SetClock) -> CallJournal:
    """Return the gateway's side of one call."""
    return CallJournal.of(invited, CLINIC, LINE, home, clock)


def jobs_own(invited: Invitation) -> Opened:
    """Return what a job says of the call."""
    return opened(invited.call_id)


def spoil(home: Home) -> None:
    """Let no journal be written."""
    home.journals.touch()


def mend(home: Home) -> None:
    """Let journals be written again."""
    home.journals.unlink()
    home.journals.mkdir()


@contextmanager
def process() -> Iterator[Writer]:
    """Run a process for as long as the context lasts; yield how a journal names it."""
    code = "from thirdring.journal import Writer; print(Writer.here('job').model_dump_json())"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}\nimport sys; sys.stdout.flush(); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        yield Writer.model_validate_json(running.stdout.readline())


async def test_a_job_that_was_faster_and_dies_while_it_rings_has_a_successor(
    gateways: CallJournal, invited: Invitation, home: Home
) -> None:
    """The gateway holds the journal that the job has made: the next job goes on with it."""
    first = Journal.create(home.journals, jobs_own(invited))
    await gateways.open()
    assert not await gateways.job_has_died()
    await first.close()
    assert await gateways.job_has_died()
    assert journals(home) == []
    async with Journal.take(home.journals, jobs_own(invited)) as second:
        gateways.answered()
        second.append(ended(9))
        await gateways.over(Departure(EndReason.CALLER_HUNG_UP))
    (contents,) = journals(home)
    assert [entry.kind for entry in contents.entries] == ["opened", "handed_over", "ended"]
    assert isinstance(contents.entries[1], HandedOver)


async def test_a_disk_that_works_again_at_the_end_gets_the_record(
    gateways: CallJournal, home: Home, clock: SetClock
) -> None:
    """What could not be written at the INVITE is at the end, with the time of the INVITE."""
    spoil(home)
    await gateways.open()
    mend(home)
    clock.moment = at(7)
    await gateways.over(GAVE_UP)
    record = await record_of(home)
    assert record.ending.reason is EndReason.ABANDONED
    assert (record.opened_at, record.ended_at) == (at(0), at(7))


@pytest.mark.parametrize("archived", [False, True], ids=["there still", "archived"])
async def test_the_record_of_a_job_that_could_write_stays_the_only_one(
    gateways: CallJournal, invited: Invitation, home: Home, *, archived: bool
) -> None:
    """The gateway could not open a journal, the job could: at the end nothing is added."""
    spoil(home)
    await gateways.open()
    mend(home)
    async with Journal.create(home.journals, jobs_own(invited)) as journal:
        journal.append(ended(9))
    if archived:
        home.archive.mkdir(exist_ok=True)
        journal.path.rename(home.archive / journal.path.name)
    await gateways.over(GAVE_UP)
    kept = [[entry.kind for entry in contents.entries] for contents in journals(home)]
    assert kept == ([] if archived else [["opened", "ended"]])


async def test_a_job_that_alone_could_write_is_missed_when_it_dies(
    gateways: CallJournal, invited: Invitation, home: Home
) -> None:
    """Whose journal it is makes no difference to the caller, who would hear silence."""
    spoil(home)
    await gateways.open()
    mend(home)
    with process() as job:
        opening = jobs_own(invited).model_copy(update={"writer": job})
        async with Journal.create(home.journals, opening):
            await asyncio.wait_for(gateways.answered(), 20)
            assert not gateways.job_is_gone()
    assert gateways.job_is_gone()
