"""What a workflow is, and how the folders of `workflows/` become checked values at start."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from livekit.agents import llm
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CALL_FACTS", "TurnTaking", "Workflow"]

CALL_FACTS: Final = frozenset(
    {
        "business_name",
        "facility_name",
        "address",
        "notes",
        "caller_phone",
        "patient_name",
        "patient_phone",
        "today",
    }
)
"""Facts that every call has, whatever `thirdring.yaml` says; instructions and greetings may use
them without further ado."""


class TurnTaking(BaseModel):
    """When the model takes its turn (OpenAI Realtime `audio.input.turn_detection`).

    `server_vad` waits for `silence_ms` of silence; `semantic_vad` listens for the end of a thought
    and waits longer or shorter by `eagerness`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["server_vad", "semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "medium"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=2000)] = 300
    silence_ms: Annotated[int, Field(ge=100, le=5000)] = 500


class Workflow(BaseModel):
    """What is said and what may be done on a line.

    Attributes:
        name: That of its folder.
        tools: What the model may call; a line may offer fewer.
        facts: Names that `instructions.md` may use as `{{ name }}`.
        greeting: What a line says first unless it has its own; may use facts too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    direction: Literal["inbound", "outbound"] = "inbound"
    pipeline: Literal["realtime"] = "realtime"
    turn_taking: TurnTaking = TurnTaking()
    tools: tuple[llm.FunctionTool[..., Any], ...] = ()
    facts: tuple[str, ...] = ()
    greeting: str
    time_limit_minutes: Annotated[int, Field(ge=1, le=240)] = 30
