"""What is said, as words that can be compared: no accents, no capitals, numbers in digits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import product

__all__ = ["folded", "has_in_a_row", "listed_words", "plain_words"]


def listed_words(*texts: str) -> tuple[str, ...]:
    """Return the words of texts, which are lists of them with spaces between."""
    return tuple(word for text in texts for word in text.split())


_ENGLISH = listed_words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
    "sixteen seventeen eighteen nineteen",
)
_TENS = {20: "twenty", 30: "thirty", 40: "forty", 50: "fifty"}
_TENS |= {60: "sixty", 70: "seventy", 80: "eighty", 90: "ninety"}
_ORDINALS = listed_words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth",
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth",
)

# From 0. An underscore joins the words of one number; alone it stands for a word that is left out,
# for it means something else ("once", "due", "un").
_OTHERS = (
    # Spanish
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez _ doce trece catorce quince"
    " dieciseis diecisiete dieciocho diecinueve veinte veintiuno veintidos veintitres"
    " veinticuatro veinticinco veintiseis veintisiete veintiocho veintinueve treinta"
    " treinta_y_uno",
    # French
    "zero _ deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
    " dix_sept dix_huit dix_neuf vingt vingt_et_un vingt_deux vingt_trois vingt_quatre vingt_cinq"
    " vingt_six vingt_sept vingt_huit vingt_neuf trente trente_et_un",
    # German
    "null eins zwei drei vier funf sechs sieben acht neun zehn elf zwolf dreizehn vierzehn funfzehn"
    " sechzehn siebzehn achtzehn neunzehn zwanzig einundzwanzig zweiundzwanzig dreiundzwanzig"
    " vierundzwanzig funfundzwanzig sechsundzwanzig siebenundzwanzig achtundzwanzig"
    " neunundzwanzig dreissig einunddreissig",
    # Portuguese
    "zero _ dois tres quatro cinco seis sete oito nove dez onze doze treze quatorze quinze"
    " dezesseis dezessete dezoito dezenove vinte vinte_e_um vinte_e_dois vinte_e_tres"
    " vinte_e_quatro vinte_e_cinco vinte_e_seis vinte_e_sete vinte_e_oito vinte_e_nove trinta"
    " trinta_e_um",
    # Italian
    "zero uno _ tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici"
    " quindici sedici diciassette diciotto diciannove venti ventuno ventidue ventitre ventiquattro"
    " venticinque ventisei ventisette ventotto ventinove trenta trentuno",
)
_MORE = {"una": "1", "une": "1", "uma": "1", "duas": "2", "las once": "11", "le due": "2"}


def _numbers() -> dict[str, str]:
    spoken = {word: str(number) for number, word in enumerate(_ENGLISH)}
    spoken |= {word: str(number) for number, word in enumerate(_ORDINALS, 1)}
    del spoken["second"]  # of a minute; the day is found by its month
    for tens, word in _TENS.items():
        spoken[word] = str(tens)
        spoken[f"{word[:-1]}ieth"] = str(tens)
    for (tens, word), unit in product(_TENS.items(), range(1, 10)):
        spoken[f"{word} {_ENGLISH[unit]}"] = str(tens + unit)
        spoken[f"{word} {_ORDINALS[unit - 1]}"] = str(tens + unit)
    for language in _OTHERS:
        for number, word in enumerate(language.split()):
            if word != "_":
                spoken.setdefault(word.replace("_", " "), str(number))
    return spoken | _MORE


_NUMBERS = _numbers()
_NUMBER = re.compile(rf"\b(?:{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})\b")
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th|er)\b")
_MERIDIEM = re.compile(r"\b([ap]) ?\. ?m\b\.?")
_O_CLOCK = re.compile(r"\bo['\u2019 ]?clock\b")
_APOSTROPHE = re.compile(r"(?<=\w)['\u2019](?=(?:s|t|m|d|ll|re|ve|am)\b)")
_WORD = re.compile(r"[^\W_]+")


def folded(text: str) -> str:
    """Return `text` without accents and capitals; `ß` is `ss`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def plain_words(text: str) -> list[str]:
    """Return the words of `text`; a number is one word of digits, however it was written."""
    plain = _APOSTROPHE.sub("", _O_CLOCK.sub("oclock", folded(text)))
    plain = " ".join(_WORD.findall(_MERIDIEM.sub(r"\1m", plain)))
    return _ORDINAL.sub(r"\1", _NUMBER.sub(lambda match: _NUMBERS[match[0]], plain)).split()


def has_in_a_row(words: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether words stand among others one after the other."""
    last = len(words) - len(wanted)
    return any(list(words[at : at + len(wanted)]) == list(wanted) for at in range(last + 1))
