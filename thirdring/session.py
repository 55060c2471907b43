"""From line and workflow to a LiveKit agent session; the only module that builds model plugins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Any

from livekit import rtc
from livekit.agents import NOT_GIVEN, AgentSession, APIConnectOptions, ModelSettings, llm, utils
from livekit.agents.voice.room_io import (
    AudioInputOptions,
    AudioOutputOptions,
    RoomOptions,
    TextOutputOptions,
)
from livekit.plugins import openai
from openai.types import realtime as openai_events
from openai.types.realtime import AudioTranscription, RealtimeConversationItemFunctionCall
from openai.types.realtime.realtime_audio_input_turn_detection import SemanticVad, ServerVad
from pydantic import BaseModel

from thirdring.barge_in import is_answering, yield_to_caller
from thirdring.calls import LegKind
from thirdring.guardrails import GuardedAgent, Guardrail
from thirdring.languages import codes
from thirdring.limits import reply_tokens
from thirdring.raw_tools import as_raw, unrepaired
from thirdring.settings import Line, TurnTaking
from thirdring.state import CallState
from thirdring.workflow import MAIN, Workflow

__all__ = [
    "PhoneAgent",
    "PhoneRealtimeModel",
    "agent_session",
    "hear_language",
    "prewarm",
    "room_options",
]

logger = logging.getLogger(__name__)

_SAMPLE_RATE = 24_000
_APPEND_MS = 20
_CLOSING_SECONDS = 1.0


class _PhoneRealtimeSession(openai.realtime.RealtimeSession):
    """Cancels no response but the one that is meant, and knows which results the model has.

    The plugin's cancels name no response: the server takes them for whatever it says by then, which
    may be the answer to the caller's next words.
    """

    def __init__(self, model: PhoneRealtimeModel, **options: Any) -> None:
        super().__init__(model, **options)
        # The plugin sends 100 ms at a time, which is up to 100 ms more of waiting for every caller
        # who starts to speak. 20 ms, one RTP packet, costs 0.08 % of a core more per call.
        self._bstream = utils.audio.AudioByteStream(
            _SAMPLE_RATE, 1, samples_per_channel=_SAMPLE_RATE * _APPEND_MS // 1000
        )
        self._model = model
        self._response: str | None = None
        self._told: set[str] = set()
        self.on("openai_server_event_received", self._note_received)

    def _note_received(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "session.created":
                self._response = None
                self._model.connected(str(event.get("session", {}).get("id")))
            case "response.created":
                self._response = event.get("response", {}).get("id")
            case "response.done":
                self._response = None

    def interrupt(self) -> None:
        """Cancel the response that runs, unless it is what the caller is to hear.

        When a tool has ended, the SDK cancels whatever is said (livekit-agents 1.8.9,
        voice/agent_activity.py:4935); a caller who has spoken since is being answered.
        """
        if self._response is not None and not self._model.answering():
            self.send_event({"type": "response.cancel", "response_id": self._response})

    def send_event(self, event: Any) -> None:
        """Send an event, unless it cancels without saying what.

        The SDK sends such a one when it gives up a response that has not begun (livekit-agents
        1.8.9, llm/_realtime/openai.py:1785), and cancels that by its id when it begins (:1923).
        """
        match event:
            case openai_events.ResponseCancelEvent(response_id=None):
                return
            case openai_events.ConversationItemCreateEvent(
                item=openai_events.RealtimeConversationItemFunctionCallOutput(call_id=call_id)
            ):
                self._told.add(call_id)
        super().send_event(event)

    def tell(self, result: llm.FunctionCallOutput) -> None:
        """Let the model know the result of a tool, unless it was sent already."""
        if result.call_id not in self._told:
            item = openai_events.RealtimeConversationItemFunctionCallOutput(
                type="function_call_output",
                id=result.id,
                call_id=result.call_id,
                output=result.output,
            )
            number = utils.shortuuid("late_result_")
            self.send_event(
                openai_events.ConversationItemCreateEvent(
                    type="conversation.item.create", event_id=number, item=item
                )
            )

    def _handle_function_call(self, item: RealtimeConversationItemFunctionCall) -> None:
        arguments = unrepaired(item.arguments)
        super()._handle_function_call(item.model_copy(update={"arguments": arguments}))

    async def aclose(self) -> None:
        # A session that failed for good raises its failure once more here, which would keep the
        # agent session from closing (livekit-agents 1.8.9, llm/_realtime/openai.py:1848).
        try:
            # It would wait for a connection that is still being made to an endpoint that is silent.
            async with asyncio.timeout(_CLOSING_SECONDS):
                await super().aclose()
        except Exception:
            logger.debug("the realtime session had failed before it was closed", exc_info=True)


class PhoneRealtimeModel(openai.realtime.RealtimeModel):
    """OpenAI's realtime model with 20 ms appends and a close that always ends.

    Attributes:
        connected: Called with the id of the session that each connection begins with.
        answering: Whether what its agent says, or is about to say, is to go on.
    """

    connected: Callable[[str], None] = staticmethod(lambda _session: None)
    answering: Callable[[], bool] = staticmethod(lambda: False)

    def session(self, *, turn_detection_disabled: bool = False) -> openai.realtime.RealtimeSession:
        session = _PhoneRealtimeSession(self, turn_detection_disabled=turn_detection_disabled)
        self._sessions.add(session)
        return session


class PhoneAgent(GuardedAgent):
    """Speaks for one line; keeps its first words back until the call is answered.

    The greeting is asked for while the phone still rings, so that it waits here, spoken, when the
    caller's line opens.

    Args:
        name: Among the agents of its workflow.
        opening: What it is asked for as soon as it has the call; None to wait for words.
        before: Who hands the caller over to it; what was said goes with them.
        guardrails: What is watched in its words, and in those of the other party.

    Attributes:
        answered: To be set once the caller can hear; one for all agents of a call.
        begun: Set once the model has begun to answer.
    """

    def __init__(
        self,
        *,
        instructions: str,
        tools: list[Any],
        name: str = MAIN,
        opening: str | None = None,
        before: PhoneAgent | None = None,
        guardrails: tuple[Guardrail, ...] = (),
    ) -> None:
        said = NOT_GIVEN if before is None else before.chat_ctx.copy(exclude_instructions=True)
        guarded = [as_raw(tool) for tool in tools]
        super().__init__(
            guardrails=guardrails, id=name, instructions=instructions, tools=guarded, chat_ctx=said
        )
        self.answered: asyncio.Event = asyncio.Event() if before is None else before.answered
        self.begun = asyncio.Event()
        self.entered = asyncio.Event()
        self.opening = opening

    async def on_enter(self) -> None:
        await super().on_enter()
        if self.opening is not None:
            self.session.generate_reply(instructions=self.opening)
        self.entered.set()

    async def realtime_audio_output_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterator[rtc.AudioFrame]:
        self.begun.set()
        await self.answered.wait()
        async for frame in audio:
            yield frame


def prewarm() -> None:
    """Do now what the first call would otherwise wait for, 350 ms in all; at once the second time.

    The plugin's event types are built at their first use, and the CA bundle is parsed by the first
    HTTP client of a process.
    """
    for event in vars(openai_events).values():
        if isinstance(event, type) and issubclass(event, BaseModel):
            event.model_rebuild()

    async def open_http_client() -> None:
        async with utils.http_context.open():
            pass

    asyncio.run(open_http_client())


def _turn_detection(turn_taking: TurnTaking) -> SemanticVad | ServerVad:
    if turn_taking.kind == "semantic_vad":
        return SemanticVad(
            type="semantic_vad",
            eagerness=turn_taking.eagerness,
            create_response=True,
            interrupt_response=True,
        )
    return ServerVad(
        type="server_vad",
        threshold=turn_taking.threshold,
        prefix_padding_ms=turn_taking.prefix_padding_ms,
        silence_duration_ms=turn_taking.silence_ms,
        create_response=True,
        interrupt_response=True,
    )


def _transcription(line: Line, languages: Sequence[str]) -> AudioTranscription:
    """Return how the caller is written down: in the one language, or in whichever they speak."""
    first, *others = codes(languages)
    if others:
        return AudioTranscription(model=line.transcription_model)
    return AudioTranscription(model=line.transcription_model, language=first)


def hear_language(session: AgentSession[CallState], tag: str) -> None:
    """Let what the caller says from now on be written down in this language."""
    assert isinstance(session.llm, PhoneRealtimeModel)
    transcription = _transcription(session.userdata.line, [tag])
    session.llm.update_options(input_audio_transcription=transcription)


def agent_session(
    line: Line, workflow: Workflow, state: CallState, *, text: bool = False
) -> AgentSession[CallState]:
    """Return the session of one call, not yet started.

    Reads `OPENAI_API_KEY` and `OPENAI_BASE_URL`, as the plugin does.

    Args:
        line: Names models and voice, and may say how turns are taken.
        workflow: Says so where the line does not.
        state: What its tools share; its business may cap replies.
        text: The model answers in text, without the time and cost of a voice.

    Raises:
        ValueError: No `OPENAI_API_KEY` is set.
    """
    model = PhoneRealtimeModel(
        model=line.model,
        voice=line.voice,
        modalities=["text"] if text else ["text", "audio"],
        turn_detection=_turn_detection(line.turn_taking or workflow.turn_taking),
        input_audio_transcription=_transcription(line, state.business.languages),
        # A caller waits while this retries: two short tries, not four long ones.
        conn_options=APIConnectOptions(max_retry=1, retry_interval=0.3, timeout=4.0),
    )
    if (cap := reply_tokens(line, workflow, state.business)) is not None:
        # The constructor has no argument for it. Set before there is a session, it is part of the
        # configuration that every connection begins with.
        model.update_options(max_response_output_tokens=cap)
    session = AgentSession(
        llm=model,
        userdata=state,
        max_tool_steps=8,
        # By default the model hears silence for the first 3 s that the agent speaks.
        aec_warmup_duration=None,
        user_away_timeout=None,
        session_close_transcript_timeout=1.0,
    )
    model.answering = lambda: is_answering(session)
    yield_to_caller(session)
    return session


def room_options(kind: LegKind, identity: str) -> RoomOptions:
    """Return how a session hears and speaks in its room; phones take no text."""
    phone = kind is LegKind.SIP
    return RoomOptions(
        participant_identity=identity,
        text_input=not phone,
        audio_input=AudioInputOptions(
            sample_rate=_SAMPLE_RATE,
            frame_size_ms=10,
            auto_gain_control=False,
            pre_connect_audio=not phone,
        ),
        audio_output=AudioOutputOptions(sample_rate=_SAMPLE_RATE, track_name="agent"),
        # What an interrupted turn was heard to say is taken from the synchronised text.
        text_output=TextOutputOptions(sync_transcription=True),
        # Every way a call ends leads through `LiveCall.end`.
        close_on_disconnect=False,
        delete_room_on_close=False,
    )
