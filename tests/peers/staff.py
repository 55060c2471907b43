"""Staff of the clinic: Dana is told of everything, Lee only of what is urgent."""

from __future__ import annotations

from pydantic import SecretStr

from thirdring.settings import Business, StaffMember
from thirdring.staff import Target
from thirdring.state import CallState

__all__ = ["DANA", "LEE", "staffed", "with_staff"]

DANA = Target("riverside_clinic", "dana", 0)
LEE = Target("riverside_clinic", "lee", 0)


def staffed(
    business: Business, *, dana: str = "json://127.0.0.1:9/dana", lee: str = ""
) -> Business:
    """Return the business with Dana and Lee at these addresses."""
    staff = {
        "dana": StaffMember(name="dana", notify=(SecretStr(dana),)),
        "lee": StaffMember(
            name="lee", notify=(SecretStr(lee or "json://127.0.0.1:9/lee"),), urgent_only=True
        ),
    }
    return business.model_copy(update={"staff": staff})


def with_staff(state: CallState) -> None:
    """Let the business of a call have Dana and Lee."""
    state.business = staffed(state.business)
