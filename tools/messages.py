"""Messages for the people of a business."""

from __future__ import annotations

import json

from livekit.agents import RunContext, function_tool

from thirdring.state import CallState
from thirdring.store import Connection
from thirdring.store.messages import Message, add_message
from tools.confirming import require_confirmed
from tools.given import critical_of, name_if_given, number_of, words_given
from tools.guard import effect_key, guarded
from tools.keeping import keep, tell
from tools.notifications import notice
from tools.wordings import MESSAGE, MESSAGE_FOR, wordings

__all__ = ["take_message"]

LONGEST_TEXT = 1000
_TAKEN = "The message is taken. Tell the caller that it will be passed on; the id is not for them."


@function_tool
@guarded(effect=True)
async def take_message(
    ctx: RunContext[CallState],
    text: str,
    for_whom: str = "",
    caller_name: str = "",
    phone: str = "",
    *,
    urgent: bool = False,
) -> str:
    """Take a message that the caller wants to be passed on. Read it back to them first.

    Args:
        text: What is to be passed on, whole, in the caller's words.
        for_whom: Whom it is for. Leave it empty when they have not said it.
        caller_name: The caller's name. Leave it empty when they have not said it.
        phone: A number to reach the caller at. Leave it empty to use the one they are calling from.
        urgent: The caller says that it cannot wait.
    """
    state = ctx.userdata
    message = Message(
        business=state.business.slug,
        key=effect_key(ctx),
        body=words_given(text, "the message", longest=LONGEST_TEXT),
        for_whom=name_if_given(for_whom, "name of whom it is for"),
        from_name=name_if_given(caller_name),
        from_number=number_of(phone, state),
        urgent=urgent,
        call_id=state.leg.call_id,
        taken_at=state.clock.now(),
    )
    critical = critical_of(state, name=message.from_name, number=message.from_number)
    await require_confirmed(ctx, _read_back(message, state), *critical)

    def work(connection: Connection) -> str:
        identity = add_message(connection, message)
        title, body = _in_words(message)
        key = f"message {identity}"
        told = notice(
            state, title=title, body=body, urgent=urgent, key=key, for_whom=message.for_whom
        )
        tell(connection, told)
        return json.dumps({"message_id": identity, "text": _TAKEN})

    return await keep(
        ctx,
        work,
        sorry="The message cannot be taken right now. Tell the caller so, and ask them to call "
        "again later.",
    )


def _read_back(message: Message, state: CallState) -> tuple[str, ...]:
    if message.for_whom is None:
        return wordings(MESSAGE, state.business, f": {message.body}")
    return wordings(MESSAGE_FOR, state.business, f" {message.for_whom}: {message.body}")


def _in_words(message: Message) -> tuple[str, str]:
    title = "Message" if message.for_whom is None else f"Message for {message.for_whom}"
    who = message.from_name or "somebody"
    number = f", {message.from_number}" if message.from_number else ""
    return f"Urgent: {title}" if message.urgent else title, f"{message.body}\nFrom {who}{number}."
