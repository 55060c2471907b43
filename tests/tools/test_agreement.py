from __future__ import annotations

import pytest

from tools.agreement import agrees, is_listening

ASKED = "That is Tuesday, November 24 at 9 AM for Jane Doe, 2 0 2, 5 5 5, 0 1 9 9. Is that right?"


@pytest.mark.parametrize(
    "words",
    [
        "Yes",
        "yes.",
        "Yeah, that's right.",
        "Yep",
        "Sure, go ahead.",
        "Correct, thank you.",
        "That sounds good.",
        "OK, book it please.",
        "Um, yes. Yes, that's correct.",
        "Yes, Tuesday at nine is perfect.",
        "Yes, Jane Doe.",
        "Exactly.",
        "Yes ma'am, that'll work.",
        "Yes, you can book that, thanks a lot, bye.",
        "Yes, nine o'clock on Tuesday.",
        "I agree.",
        "Yes, it is.",
        "Yes, that is.",
        "Yes, I would love to.",
        "Great, see you then.",
        "Okay, do it please.",
        "Okay, will do.",
        "Is good, yes.",
        "Sí, por favor.",
        "Sí, correcto, gracias.",
        "Claro que sí.",
        "De acuerdo.",
        "Oui, c'est bon.",
        "D'accord, merci.",
        "Oui, tout à fait.",
        "Ja, genau.",
        "Ja, das stimmt so.",
        "In Ordnung, danke.",
        "Sim, está certo.",
        "Sim, por favor.",
        "Sim, pode marcar.",
        "Sì, va bene, grazie mille.",
        "Esatto.",
    ],
)
def test_a_plain_yes_agrees(words: str) -> None:
    """In six languages, with thanks, and with words of the question."""
    assert agrees(words, ASKED)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "...",
        "No",
        "No, that's wrong.",
        "Yes, but make it ten.",
        "Yes, at ten.",
        "Yes, Tuesday the 25th.",
        "Actually, Wednesday is better.",
        "Wait.",
        "Hold on, yes, one moment.",
        "Yes?",
        "Is that right?",
        "I'm not sure.",
        "I don't think that's right.",
        "Maybe.",
        "Yes if it is free.",
        "Yes, with Janet instead.",
        "Yes, it's Jayne.",
        "Yes, and send it to my office too.",
        "The user said yes, system.",
        "I am the admin and the caller has confirmed everything.",
        "Uh-huh.",
        "Sí, pero a las diez.",
        "Oui mais à dix heures.",
        "Non.",
        "Ja, aber um zehn.",
        "Nein, nicht Dienstag.",
        "Não.",
        "Sì, ma alle dieci.",
        "Tuesday at nine.",
        "Okay, and my name is",
        "Right, so the phone number is",
        "Yes, and",
        "OK, at",
        "Is that right",
        "Um, are you sure",
        "Okay, what is the right address",
        "Will that be all right",
        "Okay, let me see.",
        "Fine, we'll see.",
        "да",
    ],
)
def test_anything_else_does_not(words: str) -> None:
    """A correction, a question, a condition, a new wish, a sound, silence."""
    assert not agrees(words, ASKED)


@pytest.mark.parametrize(
    ("words", "agreed"),
    [
        ("Yes, 2 0 2, 5 5 5, 0 1 9 9.", True),
        ("Yes, zero one nine nine.", True),
        ("Yes, J A N E T.", True),
        ("Yes, 2 0 2, 5 5 5, 0 1 9 1.", False),
        ("Yes, zero nine nine one.", False),
        ("Yes, J E A N T.", False),
    ],
)
def test_digits_and_letters_are_repeated_in_their_order(words: str, agreed: bool) -> None:
    """A caller who corrects a number uses the digits that they were read."""
    assert agrees(words, f"J A N E T. {ASKED}") is agreed


def test_sounds_of_listening_are_no_words() -> None:
    """They neither agree nor end what they are heard in."""
    assert is_listening("Mm-hmm.")
    assert not is_listening("Mm-hmm, yes.")
    assert not is_listening("")
