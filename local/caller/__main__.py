"""`python -m local.caller`: place one call, perform a script, report."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from local.caller.commentary import CallEvent
from local.caller.placing import CallResult, place_call
from local.caller.script import Script, load_script
from thirdring.errors import PhoneError

_EXIT_CODES = """exit code: 0 when the script ran through, 2 when the call or an argument was not as
planned (one line on standard error says what), 130 when interrupted"""


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m local.caller", description=__doc__)
    parser.epilog = _EXIT_CODES
    parser.add_argument("--to", required=True, help="sip:+12025550142@127.0.0.1:5060")
    parser.add_argument("--script", required=True, type=Path, help="what to do, in YAML")
    parser.add_argument("--from", dest="caller", default="+12025550199", help="our own number")
    parser.add_argument("--recording", type=Path, help="stereo WAV: left caller, right agent")
    parser.add_argument("--result", type=Path, help="all measures, in JSON")
    parser.add_argument("--events", help="JSON lines as things happen; - for standard output")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def _listener(where: str | None) -> Iterator[Callable[[CallEvent], None] | None]:
    """Give what writes each event at once as a line, to a file or to standard output."""
    if where is None:
        yield None
        return
    with contextlib.ExitStack() as stack:
        file: TextIO = sys.stdout
        if where != "-":
            file = stack.enter_context(Path(where).open("w", encoding="utf-8"))
        yield lambda event: print(event.to_json(), file=file, flush=True)


async def _place(options: argparse.Namespace, script: Script) -> CallResult:
    """Place the call; SIGTERM and SIGINT hang up first, so that no call is left behind."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with _listener(options.events) as listener:
        return await place_call(
            options.to,
            script,
            caller=options.caller,
            recording=options.recording,
            on_event=listener,
        )


def _summary(result: CallResult) -> str:
    measures = result.measures
    replies = [turn.response_ms for turn in measures.turns if turn.response_ms is not None]
    parts = [f"call of {measures.duration_s:.1f} s"]
    if measures.invite_to_200_ms is not None:
        parts.append(f"answered in {measures.invite_to_200_ms:.0f} ms")
    if measures.answer_to_first_audio_ms is not None:
        parts.append(f"first audio {measures.answer_to_first_audio_ms:.0f} ms later")
    if replies:
        parts.append(f"replies in {min(replies):.0f} to {max(replies):.0f} ms")
    if measures.longest_silence is not None:
        parts.append(f"longest silence {measures.longest_silence.seconds:.1f} s")
    return ", ".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _arguments(arguments)
    try:
        script = load_script(options.script)
        result = asyncio.run(_place(options, script))
        if options.result is not None:
            options.result.parent.mkdir(parents=True, exist_ok=True)
            options.result.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except PhoneError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or 'the network'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130
    if options.events is None:
        print(_summary(result))
    if result.problem is not None:
        print(f"the call to {options.to} was not as planned: {result.problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
    # Whoever read the events has gone; Python must not complain about it while it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(2)
