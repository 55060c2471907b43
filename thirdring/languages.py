"""The languages that the model hears and speaks well, by ISO 639-1 code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["LANGUAGES", "codes", "language_name"]

LANGUAGES: Final = {
    "af": "Afrikaans",
    "ar": "Arabic",
    "az": "Azerbaijani",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bs": "Bosnian",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "gl": "Galician",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "kk": "Kazakh",
    "kn": "Kannada",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mi": "Maori",
    "mk": "Macedonian",
    "mr": "Marathi",
    "ms": "Malay",
    "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""Those that OpenAI's speech recognition is published to understand."""


def language_name(tag: str) -> str:
    """Return the English name of a BCP 47 tag's language: `es-MX` is Spanish.

    Raises:
        KeyError: It is none of `LANGUAGES`.
    """
    (code,) = codes([tag])
    return LANGUAGES[code]


def codes(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the languages of BCP 47 tags by their ISO 639-1 codes, each once."""
    return tuple(dict.fromkeys(tag.partition("-")[0].lower() for tag in tags))
