"""What callers are asked to agree to, in each language in which their yes is understood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from thirdring.languages import codes
from thirdring.settings import Business

__all__ = ["CALL_BACK", "FORGET", "MESSAGE", "MESSAGE_FOR", "wordings"]

MESSAGE: Final = {
    "en": "a message",
    "es": "un mensaje",
    "fr": "un message",
    "de": "eine Nachricht",
    "pt": "um recado",
    "it": "un messaggio",
}
MESSAGE_FOR: Final = {
    "en": "a message for",
    "es": "un mensaje para",
    "fr": "un message pour",
    "de": "eine Nachricht für",
    "pt": "um recado para",
    "it": "un messaggio per",
}
CALL_BACK: Final = {
    "en": "a call back",
    "es": "le devolvemos la llamada",
    "fr": "nous vous rappelons",
    "de": "ein Rückruf",
    "pt": "retornamos a sua ligação",
    "it": "la richiamiamo",
}
FORGET: Final = {
    "en": "everything that is remembered about you is deleted, and nothing is kept from now on",
    "es": "se borra todo lo que se recuerda de usted, y desde ahora no se guarda nada",
    "fr": "tout ce qui est retenu sur vous est effacé, et plus rien n'est gardé désormais",
    "de": "alles, was über Sie gespeichert ist, wird gelöscht, und ab jetzt wird nichts behalten",
    "pt": "tudo o que se lembra de você é apagado, e a partir de agora nada é guardado",
    "it": "tutto quello che si ricorda di Lei viene cancellato, e da ora non si conserva nulla",
}


def wordings(phrases: Mapping[str, str], business: Business, rest: str = "") -> tuple[str, ...]:
    """Return a phrase in the languages of a business, and in English.

    Args:
        rest: What follows it in every language: the words of the caller.
    """
    found = [code for code in (*codes(business.languages), "en") if code in phrases]
    return tuple(f"{phrases[code]}{rest}" for code in dict.fromkeys(found))
