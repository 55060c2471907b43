"""A plain LiveKit worker that posts its history from a shutdown callback, as everyone does.

`python bench/stock_agent.py start` is what `make chaos` puts beside ours, with the same servers and
the same model. It uses LiveKit Agents as its documentation shows, and nothing of Thirdring.
"""

from __future__ import annotations

import os

import aiohttp
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.plugins import openai

server = AgentServer(
    load_fnc=lambda _: 0.0,
    num_idle_processes=int(os.environ.get("STOCK_IDLE", "3")),
    host="127.0.0.1",
    port=int(os.environ.get("THIRDRING_WORKER_PORT", "0")),
)


@server.rtc_session(agent_name=os.environ.get("STOCK_AGENT", "thirdring"))
async def answer(ctx: JobContext) -> None:
    """Take one call, and post what was said when the job shuts down."""
    await ctx.connect()
    caller = await ctx.wait_for_participant()
    number = caller.attributes.get("sip.phoneNumber", "")
    session: AgentSession[None] = AgentSession(llm=openai.realtime.RealtimeModel(voice="marin"))

    async def post() -> None:
        turns = [
            {"role": item.role, "text": item.text_content}
            for item in session.history.items
            if item.type == "message"
        ]
        body = {"caller": number, "turns": turns}
        async with aiohttp.ClientSession() as http:
            await http.post(os.environ["THIRDRING_WEBHOOK_URL"], json=body)

    ctx.add_shutdown_callback(post)
    agent = Agent(instructions=f"You answer the phone. The call comes from {number}.")
    await session.start(agent, room=ctx.room)
    session.generate_reply(instructions='Say exactly this, word for word: "Hello."')


if __name__ == "__main__":
    cli.run_app(server)
