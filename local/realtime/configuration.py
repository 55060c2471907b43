"""The settings of a realtime session: what `session.update` may say and how it is merged."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from local.realtime.formats import SAMPLE_RATE, AudioFormat, Pcm
from local.realtime.protocol import JsonObject, Refusal, first_problem

__all__ = ["SAMPLE_RATE", "Configuration", "SemanticVad", "ServerVad", "TurnDetection", "updated"]


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


class Transcription(_Section):
    """Turns the caller's text on; the model named is always Moonshine here."""

    model: str | None = None
    language: str | None = None
    languages: tuple[str, ...] | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(_Section):
    """Shown again only: Silero and Moonshine take the line as it is."""

    type: Literal["near_field", "far_field"] | None = None
    strength: Annotated[float, Field(ge=0, le=1)] | None = None


class AudioInput(_Section):
    """How the caller is heard."""

    format: AudioFormat = Pcm()
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = ServerVad(type="server_vad")


class CustomVoice(_Section):
    """A voice made by the client's owner."""

    id: str


class AudioOutput(_Section):
    """How we speak; there is one voice, whatever its name."""

    format: AudioFormat = Pcm()
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0
    voice: str | CustomVoice = "marin"


class Audio(_Section):
    """Both directions."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class Tool(_Section):
    """A function the brain may call."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tracing(_Section):
    """Where OpenAI would show the session."""

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: dict[str, Any] | None = None


class _TokenLimits(_Section):
    post_instructions: Annotated[int, Field(ge=0)] | None = None


class RetentionRatio(_Section):
    """How much of a conversation that is too long would be kept."""

    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Field(ge=0, le=1)]
    token_limits: _TokenLimits | None = None


class Reasoning(_Section):
    """How much a model would think."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


def _checked_choice(choice: str | JsonObject) -> str | JsonObject:
    if isinstance(choice, str):
        if choice not in {"none", "auto", "required"}:
            raise ValueError("expected none, auto, required or one function")
    elif choice.get("type") != "function":
        raise ValueError("only functions can be chosen; MCP tools are not served here")
    elif set(choice) != {"type", "name"} or not isinstance(choice["name"], str):
        raise ValueError("a function is chosen by its `name`, a string")
    return choice


ToolChoice: TypeAlias = Annotated[str | dict[str, Any], AfterValidator(_checked_choice)]


class Configuration(_Section):
    """One session's settings.

    `tracing`, `truncation`, `reasoning`, `include` and `parallel_tool_calls` are accepted and shown
    again, but mean nothing to a script.
    """

    type: Literal["realtime"] = "realtime"
    object: Literal["realtime.session"] = "realtime.session"
    id: str = ""
    model: str = ""
    instructions: str = ""
    output_modalities: tuple[Literal["audio", "text"]] = ("audio",)
    audio: Audio = Audio()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    max_output_tokens: Annotated[int, Field(ge=1, le=4096)] | Literal["inf"] = "inf"
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    reasoning: Reasoning | None = None
    include: tuple[Literal["item.input_audio_transcription.logprobs"], ...] | None = None
    parallel_tool_calls: bool | None = None

    @property
    def voice(self) -> str | CustomVoice:
        """Of the replies."""
        return self.audio.output.voice

    def wire(self) -> JsonObject:
        """Return the session object of `session.created` and `session.updated`."""
        session = self.model_dump(mode="json", exclude_none=True)
        # Null says something here: that the client takes the turns.
        session["audio"]["input"].setdefault("turn_detection", None)
        return session


def updated(
    configuration: Configuration, change: JsonObject, *, at: str = "session"
) -> Configuration:
    """Return the settings with the keys of `change` replaced; absent keys stay.

    Args:
        at: Where the change stands in the client's event.

    Raises:
        Refusal: A key is unknown or its value wrong; nothing is changed then.
    """
    _refuse_what_is_not_served(change, at)
    document = _merged(configuration.model_dump(mode="json"), change, at="")
    try:
        return Configuration.model_validate(document)
    except ValidationError as error:
        raise first_problem(error, document, prefix=at) from None


def _refuse_what_is_not_served(change: JsonObject, at: str) -> None:
    if change.get("type", "realtime") != "realtime":
        why = "Only sessions of type 'realtime' are served; this one cannot be for transcription."
        raise Refusal("invalid_value", why, param=f"{at}.type")
    for key in ("id", "object"):
        if key in change:
            raise Refusal(
                "unknown_parameter", f"Unknown parameter: '{at}.{key}'.", param=f"{at}.{key}"
            )
    if change.get("prompt") is not None:
        why = "Stored prompts are OpenAI's: send their text as `instructions`."
        raise Refusal("invalid_value", why, param=f"{at}.prompt")


_MERGED = frozenset({"audio", "audio.input", "audio.output", "audio.input.turn_detection"})
_NULLABLE = frozenset(
    {"audio.input.turn_detection", "audio.input.transcription", "audio.input.noise_reduction"}
    | {"tracing", "reasoning", "include", "parallel_tool_calls"}
)
"""Null turns these off; elsewhere it is a client that writes out what it leaves to the server."""


def _merged(current: JsonObject, change: JsonObject, *, at: str) -> JsonObject:
    result = dict(current)
    for key, value in change.items():
        path = f"{at}{key}"
        old = current.get(key)
        if value is None and (path == "prompt" or (key in current and path not in _NULLABLE)):
            continue
        if path in _MERGED and isinstance(old, dict) and isinstance(value, dict):
            result[key] = _one_of(old, value, at=path)
        else:
            result[key] = value
    return result


def _one_of(old: JsonObject, new: JsonObject, *, at: str) -> JsonObject:
    # The settings of one kind of turn detection mean nothing to the other.
    if new.get("type", old.get("type")) != old.get("type"):
        return {key: value for key, value in new.items() if value is not None}
    return _merged(old, new, at=f"{at}.")
