"""Who calls in a simulation: the lines of a scenario, or a chat model that plays its caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp

from local.realtime.server import ChatModel
from local.scenarios import Keys, Scenario
from thirdring.errors import PhoneError

__all__ = ["Caller", "ChatCaller", "ScriptedCaller"]

_MOST_LINES: Final = 20
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, sock_connect=5)
_HANG_UP: Final = "HANG UP"

_TOLD: Final = f"""\
You play somebody who calls a business by phone; the user is the agent who answers.

{{instructions}}

Answer with nothing but what the caller says next: one or two short sentences, as people talk on
the phone, no stage directions, no quotes. Never play the agent. When the caller has nothing left
to say, answer {_HANG_UP}.
"""


class Caller(Protocol):
    """Says one line after the other."""

    async def next(self, answer: str) -> str | Keys | None:
        """Return what the caller does after this answer (first: the greeting); None hangs up.

        Raises:
            PhoneError: The model that plays the caller does not answer.
        """
        ...


@dataclass
class ScriptedCaller:
    """Says what stands in the scenario, whatever is answered."""

    lines: Sequence[str | Keys]
    _said: int = 0

    async def next(self, answer: str) -> str | Keys | None:
        """Return the next line."""
        del answer
        if self._said == len(self.lines):
            return None
        self._said += 1
        return self.lines[self._said - 1]


@dataclass
class ChatCaller:
    """Is played by a chat model; it hangs up after 20 lines at most."""

    http: aiohttp.ClientSession
    model: ChatModel
    scenario: Scenario
    _messages: list[dict[str, str]] = field(default_factory=list)

    async def next(self, answer: str) -> str | Keys | None:
        """Ask the model what the caller says."""
        if not self._messages:
            told = _TOLD.format(instructions=self.scenario.instructions.strip())
            self._messages.append({"role": "system", "content": told})
        self._messages.append({"role": "user", "content": answer or "(The agent says nothing.)"})
        if len(self._messages) > 2 * _MOST_LINES:
            return None
        line = await self._asked()
        self._messages.append({"role": "assistant", "content": line})
        said = line.replace(_HANG_UP, "").strip()
        return said or None

    async def _asked(self) -> str:
        url = f"{self.model.base_url.rstrip('/')}/chat/completions"
        key = self.model.api_key
        try:
            async with self.http.post(
                url,
                json={"model": self.model.model, "messages": self._messages},
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=_TIMEOUT,
            ) as response:
                if response.status != 200:
                    why = (await response.text())[:200]
                    raise PhoneError(f"the caller's model answered {response.status}: {why}")
                return _content(await response.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise PhoneError(f"the caller's model at {url}: {why}") from None


def _content(answer: Any) -> str:
    try:
        return str(answer["choices"][0]["message"]["content"] or "").strip()
    except (KeyError, IndexError, TypeError):
        raise ValueError("not a chat completion") from None
