"""The settings of a realtime session: what `session.update` may say and how it is merged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.realtime.protocol import JsonObject, Refusal, first_problem

__all__ = ["SAMPLE_RATE", "Configuration", "SemanticVad", "ServerVad", "TurnDetection", "updated"]

SAMPLE_RATE = 24000
"""Of `audio/pcm`, both ways, mono, 16 bit."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerVad(_Section):
    """A turn ends after a fixed time of silence."""

    type: Literal["server_vad"]
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=100, le=10000)] = 500
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: None = None


class SemanticVad(_Section):
    """A turn ends sooner when what was said sounds finished."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class Pcm(_Section):
    """The only format we speak."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class Transcription(_Section):
    """Turns the caller's text on; the model named is always Moonshine here."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    delay: str | None = None


class AudioInput(_Section):
    """How the caller is heard."""

    format: Pcm = Pcm()
    noise_reduction: dict[str, Any] | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = ServerVad(type="server_vad")


class AudioOutput(_Section):
    """How we speak; there is one voice, whatever its name."""

    format: Pcm = Pcm()
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0
    voice: str | dict[str, Any] = "marin"


class Audio(_Section):
    """Both directions."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class Tool(_Section):
    """A function the brain may call."""

    type: Literal["function"]
    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)


class Configuration(_Section):
    """One session's settings.

    `tracing`, `truncation`, `reasoning`, `include`, `prompt` and `parallel_tool_calls` are accepted
    and shown again, but mean nothing to a script.
    """

    type: Literal["realtime"] = "realtime"
    object: Literal["realtime.session"] = "realtime.session"
    id: str = ""
    model: str = ""
    instructions: str = ""
    output_modalities: tuple[Literal["audio", "text"]] = ("audio",)
    audio: Audio = Audio()
    tools: tuple[Tool, ...] = ()
    tool_choice: str | dict[str, Any] = "auto"
    max_output_tokens: Annotated[int, Field(ge=1)] | Literal["inf"] = "inf"
    tracing: Any = None
    truncation: Any = "auto"
    reasoning: Any = None
    include: Any = None
    prompt: Any = None
    parallel_tool_calls: bool | None = None

    def wire(self) -> JsonObject:
        """Return the session object of `session.created` and `session.updated`."""
        session = self.model_dump(mode="json", exclude_none=True)
        # Null says something here: that the client takes the turns.
        session["audio"]["input"].setdefault("turn_detection", None)
        return session


_DEFAULTED = ("instructions", "tool_choice", "tools", "max_output_tokens", "model")
"""The client may send null for these and means "as the server likes"."""


def updated(configuration: Configuration, change: JsonObject) -> Configuration:
    """Return the settings with the keys of `change` replaced; absent keys stay.

    Raises:
        Refusal: A key is unknown or its value wrong; nothing is changed then.
    """
    if change.get("type", "realtime") != "realtime":
        raise Refusal(
            "invalid_value", "Only sessions of type 'realtime' are served.", param="session.type"
        )
    for key in ("id", "object"):
        if key in change:
            raise Refusal(
                "unknown_parameter", f"Unknown parameter: 'session.{key}'.", param=f"session.{key}"
            )
    change = {k: v for k, v in change.items() if not (v is None and k in _DEFAULTED)}
    current = configuration.model_dump(mode="json")
    try:
        return Configuration.model_validate(_merged(current, change, at=""))
    except ValidationError as error:
        raise first_problem(error, prefix="session") from None


_MERGED = frozenset({"audio", "audio.input", "audio.output", "audio.input.turn_detection"})
_NOT_NULLABLE = frozenset(
    {"audio", "audio.input", "audio.output", "audio.input.format"}
    | {"audio.output.format", "audio.output.speed", "audio.output.voice"}
)
"""Null here is a client that writes out what it leaves to the server."""


def _merged(current: JsonObject, change: JsonObject, *, at: str) -> JsonObject:
    result = dict(current)
    for key, value in change.items():
        path = f"{at}{key}"
        old = current.get(key)
        if value is None and path in _NOT_NULLABLE:
            continue
        if path in _MERGED and isinstance(old, dict) and isinstance(value, dict):
            result[key] = _one_of(old, value, at=path)
        else:
            result[key] = value
    return result


def _one_of(old: JsonObject, new: JsonObject, *, at: str) -> JsonObject:
    # The settings of one kind of turn detection mean nothing to the other.
    if new.get("type", old.get("type")) != old.get("type"):
        return new
    return _merged(old, new, at=f"{at}.")
