"""Plays a script over a conversation.

The state of a dialogue is a fold over the conversation's items: every turn of the caller and every
result of a function makes the next state and what to do. Nothing is remembered between replies, so
a client that reconnects and replays its items finds the dialogue where it was.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from local.realtime import words
from local.realtime.brain import Act, Call, Prompt, Say
from local.realtime.brain.script import Call as ScriptCall
from local.realtime.brain.script import Rule, Script, Slot
from local.realtime.conversation import Item
from local.realtime.sentences import sentences

__all__ = ["ScriptBrain", "quoted"]

_QUOTE = re.compile(r"[\"\u201c](.+?)[\"\u201d]", re.DOTALL)
_SINGLE_QUOTE = re.compile(r"(?<!\w)['\u2018](.+)['\u2019](?!\w)", re.DOTALL)
_ANY = re.compile(r"\b(?:any|either|whichever|whatever)\b", re.IGNORECASE)
_READ_BACK = "Read this back"
_GOODBYE = "end_call"
_PLACE = re.compile(r"\{([\w.]+)(:digits)?\}")


@dataclass(frozen=True)
class _State:
    """Where a dialogue stands.

    Attributes:
        values: Facts, filled slots and kept results.
        expecting: The slot or word that the last question was for.
        act: What to do now.
        called: What the script says of the call that it is waiting for.
        failures: How many turns in a row were not understood.
    """

    values: Mapping[str, Any]
    act: Act
    goal: str | None = None
    expecting: str | None = None
    failures: int = 0
    called: ScriptCall | None = None

    def saying(self, text: str, *, expect: str | None = None) -> _State:
        act = Say(_filled(text, self.values))
        return replace(self, act=act, expecting=expect, failures=0)

    def without(self, names: Sequence[str]) -> _State:
        kept = {key: value for key, value in self.values.items() if key not in names}
        return replace(self, values=kept)

    def holding(self, **values: Any) -> _State:
        return replace(self, values={**self.values, **values})


def quoted(instructions: str) -> str | None:
    """Return the longest text in quotation marks; None when there is none."""
    found = _QUOTE.findall(instructions) or _SINGLE_QUOTE.findall(instructions)
    return max(found, key=len).strip() if found else None


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """Fill `{name}` and `{name.field}`; a list reads "a, b or c", a missing value reads nothing.

    `{name:digits}` reads a phone number digit by digit.
    """

    def value(match: re.Match[str]) -> str:
        text = _spoken(_at(values, match[1]))
        return words.spelled(text) if match[2] else text

    return re.sub(r"\s+", " ", _PLACE.sub(value, template)).strip()


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list):
            value = [_at(one, part) for one in value]
        else:
            return None
    return value


def _spoken(value: Any) -> str:
    if isinstance(value, list):
        parts = [_spoken(one) for one in value]
        return " or ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
    return "" if value is None else str(value)


@dataclass(frozen=True)
class ScriptBrain:
    """Answers with the first script whose `when` occurs in the session's instructions."""

    scripts: tuple[Script, ...]
    today: Callable[[], date] = field(default=date.today)

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        """Yield one thing to say or to call."""
        if prompt.request:
            act = self._instructed(prompt, prompt.request)
        else:
            act = self._dialogue(prompt).play(prompt.items).act
        yield _as_chosen(prompt, act)

    def foresee(self, prompt: Prompt) -> str | None:
        """Return what would be said to this; of an answer that needs a tool, its beginning."""
        dialogue = self._dialogue(prompt)
        state = dialogue.play(prompt.items)
        return state.act.text if isinstance(state.act, Say) else dialogue.opening(state)

    def _dialogue(self, prompt: Prompt) -> _Dialogue:
        chosen = next(one for one in self.scripts if one.when in prompt.instructions)
        callable_ = prompt.tool_choice != "none"
        tools = frozenset(tool.name for tool in prompt.tools) if callable_ else frozenset()
        return _Dialogue(chosen, tools, _facts(chosen, prompt.instructions), self.today())

    def _instructed(self, prompt: Prompt, request: str) -> Act:
        dialogue = self._dialogue(prompt)
        if text := quoted(request):
            return Say(text)
        for one in dialogue.script.instructed:
            if one.hear.search(request):
                return Say(_filled(one.say, dialogue.facts))
        return dialogue.play(prompt.items).act


def _as_chosen(prompt: Prompt, act: Act) -> Act:
    """Return the call that the client insists on, without arguments if the script has none."""
    choice = prompt.tool_choice
    if isinstance(choice, dict):
        name = str(choice["name"])
    elif choice == "required" and prompt.tools:
        name = act.name if isinstance(act, Call) else prompt.tools[0].name
    else:
        return act
    return act if isinstance(act, Call) and act.name == name else Call(name, "{}")


def _facts(chosen: Script, instructions: str) -> dict[str, str]:
    facts = dict(chosen.defaults)
    for name, pattern in chosen.facts.items():
        if match := pattern.search(instructions):
            facts[name] = match[1].strip()
    return facts


@dataclass(frozen=True)
class _Dialogue:
    script: Script
    tools: frozenset[str]
    facts: Mapping[str, str]
    today: date

    def play(self, items: Sequence[Item]) -> _State:
        state = _State(self.facts, Say(_filled(self.script.greeting, self.facts)))
        names = {item.call_id: item.name for item in items if item.kind == "function_call"}
        for item in items:
            if item.kind == "function_call_output":
                state = self._result(state, names.get(item.call_id, ""), item.text)
            elif item.kind == "message" and item.role == "user":
                state = self._turn(state, words.bare(item.text), item.text)
        return state

    def _turn(self, state: _State, text: str, original: str) -> _State:
        if not text:
            return self._not_understood(state, counts=False)
        filled = self._fill(state, original, sure=True)
        told = filled.values != state.values
        if told and filled.goal is not None:
            return self._pursue(filled)
        for rule in self.script.rules:
            if rule.matches(text, state.expecting):
                if rule.pursue is not None:
                    # "An appointment on Tuesday": the words that open a goal may fill its slots.
                    filled = self._fill(filled, original, sure=False)
                if rule.keep is not None:
                    filled = filled.holding(**{rule.keep: original.strip()})
                return self._follow(filled, rule)
        filled = self._fill(filled, original, sure=False)
        if filled.values != state.values and filled.goal is not None:
            return self._pursue(filled)
        return self._not_understood(state)

    def _follow(self, state: _State, rule: Rule) -> _State:
        if rule.call is not None:
            return self._call(state, rule.call)
        if rule.pursue is not None:
            return self._pursue(replace(state, goal=rule.pursue))
        assert rule.say is not None
        return self._aside(state, _filled(rule.say, state.values), rule.expect)

    def _aside(self, state: _State, text: str, expect: str | None) -> _State:
        """Say something; in the middle of a goal, its open question follows."""
        slot = self.script.slots.get(state.expecting or "")
        if state.goal is None or slot is None or expect in self.script.slots:
            return state.saying(text, expect=expect)
        return state.saying(f"{text} {slot.ask}", expect=state.expecting)

    def _not_understood(self, state: _State, *, counts: bool = True) -> _State:
        failures = state.failures + counts
        if failures >= 2:
            return state.saying(self.script.unsure.refer)
        slot = self.script.slots.get(state.expecting or "")
        text = f"{self.script.unsure.again} {slot.ask if slot else ''}"
        return replace(state.saying(text, expect=state.expecting), failures=failures)

    # Slots

    def _fill(self, state: _State, text: str, *, sure: bool) -> _State:
        """Fill slots from what was said.

        Args:
            sure: Only what can be nothing else; a bare name or day may as well be part of a
                question that a rule answers.
        """
        awaited = self.script.slots.get(state.expecting or "")
        for name, slot in self.script.slots.items():
            # "No, Wednesday": whoever does not agree says what is wrong.
            corrected = awaited is not None and awaited.parse == "agreement" and slot.parse == "day"
            asked = state.expecting == name or (corrected and name in state.values)
            value = self._find(slot, state, text, asked=asked, sure=sure)
            if value is not None and value != state.values.get(name):
                state = state.without(slot.forget).holding(**{name: value})
        return state

    def _find(self, slot: Slot, state: _State, text: str, *, asked: bool, sure: bool) -> Any:
        match slot.parse:
            case "choice":
                return _choice(text, _at(state.values, slot.of or ""), slot.take)
            case "phone":
                return words.find_phone(text)
            case "name":
                return words.find_name(text, asked=asked, bare=asked and not sure)
            case "day":
                # Booking on a day is a goal's matter; "are you open on Tuesday?" is not.
                wanted = not sure or (asked and not words.is_question(text))
                return words.find_day(text, self.today) if wanted else None
            case "yes_no" | "agreement":
                answer = words.find_yes_no(text) if asked else None
                return answer if answer == "yes" or slot.parse == "yes_no" else None
            case "phrase" | "text" | "anything":
                found = slot.hear.search(text) if slot.hear else None
                taken = asked and (slot.parse == "anything" or not sure)
                whole = text.strip(" .,!") if taken else None
                return found[0] if found else whole

    # Goals and calls

    def _pursue(self, state: _State) -> _State:
        assert state.goal is not None
        for step in self.script.goals[state.goal].steps:
            if step.need is not None and step.need not in state.values:
                return state.saying(self.script.slots[step.need].ask, expect=step.need)
            if step.call is not None and not _is_done(step.call, state):
                return self._call(state, step.call)
        raise AssertionError("the last step of a goal ends it")

    def _reached(self, state: _State) -> _State:
        if state.goal is None:
            return state
        goal = self.script.goals[state.goal]
        kept = [key for step in goal.steps if step.call for key in step.call.keep]
        return replace(state.without([*goal.forget, *kept]), goal=None, expecting=None)

    def _call(self, state: _State, call: ScriptCall) -> _State:
        if call.tool not in self.tools:
            text = call.unavailable or self.script.unsure.refer
            return replace(state, goal=None).saying(text, expect=call.expect)
        act = Call(call.tool, json.dumps(dict(_arguments(call, state.values))))
        return replace(state, act=act, failures=0, called=call)

    def _result(self, state: _State, name: str, output: str) -> _State:
        call = self._declared(state, name)
        result = _parsed(output)
        if call is None:
            return replace(state, act=Say(str(result.get("text", ""))))
        text = str(result.get("text", ""))
        if call.reread and state.goal and _READ_BACK in text:
            return self._pursue(state.without(call.reread))
        kept = {key: _at(result, path) for key, path in call.keep.items()}
        undone = call.done is not None and call.done.search(text) is None
        if undone or any(value in (None, [], "") for value in kept.values()):
            refused = _filled(call.refused or "{text}", {**state.values, **result})
            return state.without(call.forget).saying(refused, expect=call.expect)
        state = state.holding(**kept)
        if call.then is None:
            return self._pursue(state) if state.goal else state
        text = _filled(call.then, {**state.values, **result})
        if call.ends or call.tool == _GOODBYE:  # after which nothing is asked
            return self._reached(state).saying(text, expect=call.expect)
        return self._aside(state, text, call.expect)

    def opening(self, state: _State) -> str | None:
        """Return the first sentence after the call that is due, unless a result stands in it."""
        call = self._declared(state, state.act.name) if isinstance(state.act, Call) else None
        if call is None:
            return None
        template = call.then or self._ask_after(call, state) or ""
        places = _PLACE.finditer(template)
        unknown = next((p.start() for p in places if _at(state.values, p[1]) is None), None)
        if unknown is None:
            return next(iter(sentences(_filled(template, state.values))), None)
        # "X" stands for what is not known yet: the sentence that it is in cannot be said.
        known = sentences(_filled(template[:unknown], state.values) + " X")[:-1]
        return next(iter(known), None)

    def _ask_after(self, call: ScriptCall, state: _State) -> str | None:
        steps = self.script.goals[state.goal].steps if state.goal else ()
        following = (after for step, after in itertools.pairwise(steps) if step.call is call)
        need = next((step.need for step in following), None)
        return None if need is None else self.script.slots[need].ask

    def _declared(self, state: _State, name: str) -> ScriptCall | None:
        if state.called is not None and state.called.tool == name:
            return state.called
        steps = self.script.goals[state.goal].steps if state.goal else ()
        calls = [step.call for step in steps] + [rule.call for rule in self.script.rules]
        return next((call for call in calls if call is not None and call.tool == name), None)


def _arguments(call: ScriptCall, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a function is called with; nothing for a text that has come out empty."""
    for name, given in call.arguments.items():
        value = _filled(given, values) if isinstance(given, str) else given
        if value != "":
            yield name, value


def _is_done(call: ScriptCall, state: _State) -> bool:
    return bool(call.keep) and all(key in state.values for key in call.keep)


def _parsed(output: str) -> dict[str, Any]:
    try:
        document = json.loads(output)
    except (ValueError, RecursionError):
        document = output
    return document if isinstance(document, dict) else {"text": str(document)}


def _choice(text: str, offers: Any, take: str | None) -> Any:
    """Return the offer that was named by its time or its place, or its field `take`."""
    if not isinstance(offers, list) or not offers:
        return None
    chosen: Any = None
    if time := words.find_time(text):
        times = [words.find_time(str(offer.get("spoken", ""))) for offer in offers]
        near = [o for o, t in zip(offers, times, strict=True) if t and _same_time(t, time)]
        chosen = near[0] if near else None
    elif (index := words.find_ordinal(text)) is not None:
        chosen = offers[index] if index < len(offers) else None
    elif _ANY.search(text) or (len(offers) == 1 and words.find_yes_no(text) == "yes"):
        chosen = offers[0]
    if not isinstance(chosen, dict):
        return None
    return chosen if take is None else chosen.get(take)


def _same_time(offered: tuple[int, int], said: tuple[int, int]) -> bool:
    # "Two thirty" is meant to be 2:30 PM where nothing else is offered.
    return offered[0] % 12 == said[0] % 12 and offered[1] == said[1]
