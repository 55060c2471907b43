"""Whether somebody's words are a plain yes to what they were just asked.

Whoever agrees uses few words, and repeats at most what they were asked. Anything else that is said,
a correction, a question, a condition, a new wish, is no agreement: asking once more costs seconds,
and a wrong booking costs a day.
"""

from __future__ import annotations

import re

from tools.plain_words import listed_words, plain_words

__all__ = ["agrees", "is_listening"]

_AGREE = frozenset(
    listed_words(
        # English
        "yes yeah yep yup yea ya sure correct right exactly absolutely definitely certainly",
        "perfect great ok okay fine good agreed confirmed confirm affirmative works true",
        "course wonderful lovely excellent alright ahead",
        "agree",
        # Spanish
        "si claro correcto exacto exactamente vale perfecto acuerdo bien adelante confirmo",
        "cierto confirmado",
        # French
        "oui ouais exact exactement parfait accord absolument volontiers entendu confirme",
        # German
        "ja jawohl genau richtig stimmt korrekt gerne gern passt klar ordnung einverstanden",
        "perfekt bestatige naturlich",
        # Portuguese
        "sim certo correto exato exatamente isso perfeito combinado confirmado",
        # Italian
        "certo esatto giusto corretto perfetto bene accordo confermo",
    )
)

_BESIDES = frozenset(
    listed_words(
        # English
        "i im am ill id me my that thats it its is this the a an and for to you your all so",
        "oh um uh er ah well thank thanks very much please book do lets let us go be will",
        "would sound sounds look looks everything name number phone email address time day",
        "date appointment on at in now of sir maam mam see then there like love what said",
        "with works",
        "thatll itll youll can got lot bye goodbye we are were happy he she they work oclock",
        # Spanish
        "gracias por favor que eso es esta muy de la el los las senor senora mi",
        # French
        "merci c est ca cest d bon tout a fait s il vous plait le les madame monsieur mon",
        "bien sur",
        # German
        "danke schon bitte das ist so alles in sehr geht mein mir",
        # Portuguese
        "pode marcar obrigado obrigada por favor e esta bem muito o",
        # Italian
        "grazie mille per favore va molto tutto d mio",
    )
)

_OBJECT = frozenset(
    listed_words(
        # English
        "no nope nah not never but wait hold hang actually instead change wrong incorrect",
        "sorry rather different other another except maybe perhaps cancel stop unless only if",
        "although however dont doesnt isnt cant wont didnt wasnt arent moment second forget",
        "without",
        # Spanish
        "pero espera espere mejor cambia cambie cambiar otro otra mal incorrecto quizas nunca",
        "tampoco",
        # French
        "non mais attendez attends plutot changer autre faux pas jamais peut etre",
        # German
        "nein nicht aber warte warten lieber andere anderen anderer falsch vielleicht kein",
        "keine nie",
        # Portuguese
        "nao mas melhor outro outra errado talvez",
        # Italian
        "ma aspetti aspetta invece altro altra sbagliato forse",
    )
)

_GOES_ON = frozenset(listed_words("and my your the an at for of with y et und e mein mon"))
_NAMED = frozenset(listed_words("name number phone email address time day date appointment"))

_LISTENING = frozenset(listed_words("uh huh mm hm hmm mhm mmhm mmm uhhuh mmhmm"))

# A transcript may lack the question mark; and whoever has to see has not agreed.
_UNDECIDED = re.compile(
    r"^(?:(?:oh|um|uh|er|ah|well|so|and|okay|ok) )*(?:what\b"
    r"|(?:is|are|can|will|would) (?:that|this|it|the|there|you|we|i|they|everything)\b"
    r"|do (?:you|we|i|they)\b)"
    r"|\blet me\b|\bsee\b(?! you\b)"
)
_SPELLED = re.compile(r"\b(?:\d(?: \d)+|[^\W\d](?: [^\W\d])+)\b")
_QUESTION = re.compile(r"[?\u00bf\u061f\uff1f]")


def agrees(text: str, asked: str) -> bool:
    """Return whether `text` agrees to what was `asked`, and says nothing else."""
    if _QUESTION.search(text):
        return False
    words = plain_words(text)
    if any(word in _OBJECT for word in words) or _UNDECIDED.search(" ".join(words)):
        return False
    if not any(word in _AGREE for word in words):
        return False
    if words[-1] in _GOES_ON or (words[-1] == "is" and words[-2] in _NAMED):
        return False  # "okay, and my name is": there is more to come
    heard = plain_words(asked)
    known = _AGREE | _BESIDES | _LISTENING | frozenset(heard)
    if not all(word in known for word in words):
        return False
    # A corrected number has the digits of the wrong one.
    spelled = _SPELLED.findall(" ".join(words))
    return all(ones.replace(" ", "") in "".join(heard) for ones in spelled)


def is_listening(text: str) -> bool:
    """Return whether `text` is but a sound of somebody who listens, as in `mm-hmm`."""
    words = plain_words(text)
    return bool(words) and all(word in _LISTENING for word in words)
