"""Silero says whether somebody speaks, Moonshine writes what.

Both run in threads: a window takes 0.2 ms and an utterance 50 to 150 ms of a core, too long for an
event loop that streams audio to other callers.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Protocol

import moonshine_voice  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it ships no types
from moonshine_voice import ModelArch, Transcriber

from local.realtime.turns import HEARING_RATE, WINDOW, Samples

__all__ = ["Moonshine", "Scribe", "SileroModel", "SileroStream", "one_thread"]

_CONTEXT = 64
"""Samples of the window before that Silero wants in front of each one at 16 kHz."""


class Scribe(Protocol):
    """Writes what was said."""

    async def transcribe(self, samples: Samples) -> str:
        """Return the words in a turn at 16 kHz; empty when there are none."""
        ...


def one_thread() -> onnxruntime.SessionOptions:
    """Return options that keep a model on one core and idle when it has nothing to do.

    Onnxruntime otherwise starts a thread per core for each model and lets them spin.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


class SileroModel:
    """The voice activity model; every stream keeps its own state."""

    def __init__(self) -> None:
        # Found without importing the plugin, which would load all of LiveKit Agents.
        plugin = distribution("livekit-plugins-silero")
        path = plugin.locate_file("livekit/plugins/silero/resources/silero_vad.onnx")
        self._session = onnxruntime.InferenceSession(
            str(path), one_thread(), providers=["CPUExecutionProvider"]
        )
        self._threads = ThreadPoolExecutor(1, "vad")

    def stream(self) -> SileroStream:
        """Return a stream that has heard nothing."""
        return SileroStream(self._session, self._threads)

    def close(self) -> None:
        """End the thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass
class SileroStream:
    """The voice activity of one caller."""

    _session: onnxruntime.InferenceSession
    _threads: ThreadPoolExecutor
    _state: Samples = field(default_factory=lambda: np.zeros((2, 1, 128), np.float32))
    _context: Samples = field(default_factory=lambda: np.zeros(_CONTEXT, np.float32))

    async def probabilities(self, windows: Samples) -> list[float]:
        """Return one probability per row of an array (n, 512)."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._run, windows)

    def _run(self, windows: Samples) -> list[float]:
        return [self._one(window) for window in windows]

    def _one(self, window: Samples) -> float:
        inputs = {
            "input": np.concatenate([self._context, window])[None, :],
            "state": self._state,
            "sr": np.array(HEARING_RATE, np.int64),
        }
        probability, self._state = self._session.run(None, inputs)
        self._context = window[-_CONTEXT:]
        return float(probability.item())


class Moonshine:
    """English speech to text (`tiny-en`), a whole turn at a time."""

    def __init__(self) -> None:
        model = Path(moonshine_voice.__file__).parent / "assets" / "tiny-en"
        # Its own voice detection is off: it cuts words of telephone speech that ours has found.
        options = {
            "vad_threshold": "0",
            "vad_max_segment_duration": "30",
            "return_audio_data": "false",
        }
        self._model = Transcriber(model, ModelArch.TINY, options=options)
        self._threads = ThreadPoolExecutor(1, "stt")

    async def transcribe(self, samples: Samples) -> str:
        """Return the words in a turn at 16 kHz; empty when there are none."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._run, samples)

    def _run(self, samples: Samples) -> str:
        if len(samples) < 2 * WINDOW:
            return ""
        transcript = self._model.transcribe_without_streaming(samples.tolist(), HEARING_RATE)
        return " ".join(line.text.strip() for line in transcript.lines).strip()

    def close(self) -> None:
        """End the thread once its last turn is written, then free the model."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._model.close()
