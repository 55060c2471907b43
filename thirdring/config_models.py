"""Warns of models that OpenAI does not know, retires, or has retired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final, get_args

from pydantic import BaseModel

from thirdring.config_values import one_of
from thirdring.settings import DEFAULT_MODEL, Settings

__all__ = ["warned_models"]

# platform.openai.com/docs/deprecations: what will be, or is, gone, and from which day.
_REALTIME: Final = dict.fromkeys(
    (
        *("gpt-realtime", "gpt-realtime-2025-08-28"),
        *("gpt-realtime-mini", "gpt-realtime-mini-2025-12-15"),
        *("gpt-audio-mini", "gpt-audio-mini-2025-12-15"),
    ),
    date(2027, 1, 20),
)
_TRANSCRIPTION: Final = dict.fromkeys(
    (
        *("gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15", "whisper-1"),
        *("gpt-4o-transcribe", "gpt-4o-transcribe-diarize"),
    ),
    date(2027, 2, 26),
)


def warned_models(settings: Settings, today: date) -> Iterator[str]:
    """Yield a line for each model of a line that may not answer."""
    # OpenAI's own types know the names; they take a while to come up.
    from openai.types.realtime import (  # noqa: PLC0415
        AudioTranscription,
        RealtimeSessionCreateRequest,
    )

    realtime, transcription = _names(RealtimeSessionCreateRequest), _names(AudioTranscription)
    for business in settings.businesses:
        for line in business.lines:
            place = f"{business.slug}, line {line.number}: the model {line.model}"
            if (day := _REALTIME.get(line.model)) is not None:
                verb = "retires" if today < day else "has retired"
                yield f"{place} {verb} on {day}; use {DEFAULT_MODEL}"
            elif line.model not in realtime:
                usable = one_of(line.model, realtime - _REALTIME.keys())
                yield f"{place} is none of OpenAI's known ones; expected {usable}"
            name = line.transcription_model
            place = f"{business.slug}, line {line.number}: the transcription model {name}"
            # Ours is among those that retire, and what will be in its place is not known yet.
            if (day := _TRANSCRIPTION.get(name)) is not None and today >= day:
                usable = one_of(name, transcription - _TRANSCRIPTION.keys())
                yield f"{place} has retired on {day}; use {usable}"
            elif name not in transcription:
                usable = one_of(name, transcription - _TRANSCRIPTION.keys())
                yield f"{place} is none of OpenAI's known ones; expected {usable}"


def _names(of: type[BaseModel]) -> set[str]:
    annotation = of.model_fields["model"].annotation
    return {name for part in get_args(annotation) for name in get_args(part)}
