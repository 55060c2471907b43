"""The models of one call by what they do in it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Classifier", "Roles"]


class Classifier(BaseModel):
    """A small model that answers one question with one word; rules in code where there is none.

    Attributes:
        question: What it is asked about what was heard.
        answers: One of these, and nothing else.
        seconds: How long it may take; then the rules decide.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    answers: Annotated[tuple[str, ...], Field(min_length=2)]
    max_tokens: Annotated[int, Field(ge=1, le=50)] = 10
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    seconds: Annotated[float, Field(gt=0, le=5)] = 0.8


class Roles(BaseModel):
    """Which model does what.

    Attributes:
        main: Speaks and listens: the realtime model of the line.
        classifier: Says who is at the other end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    main: Literal["realtime"] = "realtime"
    classifier: Classifier | None = None
