"""Mistakes in what a business may say of itself, and what is said about each."""

from __future__ import annotations

from thirdring.workflow import CALL_FACTS

__all__ = ["BAD", "FULL"]

FULL = """\
version: 1
businesses:
  clinic:
    name: Riverside Clinic
    time_zone: America/New_York
    languages: [en, es-MX]
    agent_name: Robin
    instructions: You are {{ agent_name }} of {{ business_name }}.
    voice: cedar
    hours: {friday: ["09:00-17:00"]}
    holidays:
      - {day: 2026-12-25, name: Christmas Day}
      - {day: "2026-12-24", hours: ["09:00-12:00"]}
    staff:
      Anna Reyes: {number: "+12025550111", notify: ["${ANNA}"], urgent_only: true}
    destinations:
      front_desk: {number: "+12025550112", when: the caller asks for a person}
    calendar:
      caldav: {url: "https://cal.example/c/", username: anna, password: "${NAME}"}
    memory: {enabled: true, retention_days: 30}
    limits: {call_minutes: 10, reply_tokens: 150}
    tools:
      stock:
        description: Says how much of an article there is.
        url: https://shop.example/stock/{article}?size={size}
        headers: {Authorization: "Bearer ${NAME}", Accept: application/json}
        arguments:
          article: {type: integer, description: Its number.}
          size: {description: S or L., required: false, choices: [S, L]}
        timeout_seconds: 2.5
        then: Say it.
    mcp_servers:
      docs: {url: "https://docs.example/mcp", allowed_tools: [find_page]}
    lines:
      - number: "+12025550142"
        workflow: patient_questions
        tools: [opening_hours, stock, find_page]
        limits: {tool_calls: 5, reply_tokens: 200}
      - number: "+12025550143"
        workflow: patient_questions
        ai_instructions: Say goodbye.
        agent_name: Kim
        voice_id: verse
        turn_taking: {kind: server_vad, threshold: 0.6, silence_ms: 700}
        transcription_model: gpt-live-transcribe
"""

# Each row: what stands in the full file, what stands there instead, and the problems.
BAD: dict[str, tuple[str, ...]] = {
    "language": (
        "[en, es-MX]",
        "[en, xx]",
        "6:21 businesses.clinic.languages[1]: is no language of the model, got xx; expected one of "
        "af, ar, az, be, bg, bs, ca, cs, cy, da, de, el, en, es, et, fa, fi, fr, gl, he, ...",
    ),
    "language tag": (
        "es-MX",
        "Spanish",
        "6:21 businesses.clinic.languages[1]: is no language tag, got Spanish; expected a tag such "
        "as en, es or pt-BR",
    ),
    "language twice": (
        "es-MX",
        "en",
        "6:21 businesses.clinic.languages[1]: is there twice, got en; expected each language once",
    ),
    "instructions": (
        "of {{ business_name }}",
        "of {{ busines_name }}",
        "8:19 businesses.clinic.instructions: uses the unknown fact 'busines_name', got You are "
        "{{ agent_name }} of {{ busines_name }}.; expected one of "
        + ", ".join(sorted(CALL_FACTS))
        + ' (did you mean "business_name"?)',
    ),
    "agent name": (
        "agent_name: Robin",
        "agent_name: '{{ name }}'",
        "7:17 businesses.clinic.agent_name: has a placeholder, got {{ name }}; expected a name",
    ),
    "a fact of every call": (
        "    languages:",
        "    facts: {today: Friday}\n    languages:",
        "6:13 businesses.clinic.facts.today: is a fact that every call has by itself, got today; "
        "expected another name",
    ),
    "two names of one thing": (
        "voice_id: verse",
        "voice_id: verse\n        voice: ash",
        "43:9 businesses.clinic.lines[1].voice_id: is the same as `voice`, got voice_id; expected "
        "one of the two",
    ),
    "holiday": (
        "2026-12-25",
        "2026-02-30",
        "12:15 businesses.clinic.holidays[0].day: is no day, got 2026-02-30; expected a day such "
        "as 2026-12-25",
    ),
    "holiday twice": (
        '"2026-12-24"',
        "2026-12-25",
        "13:15 businesses.clinic.holidays[1].day: is another holiday's day, "
        "businesses.clinic.holidays[0].day at FILE:12:15, got 2026-12-25; expected one holiday a "
        "day",
    ),
    "hours of a holiday": (
        '["09:00-12:00"]',
        '["09:00-12:00", "11:00-13:00"]',
        "13:52 businesses.clinic.holidays[1].hours[1]: overlaps another span of the day, got "
        "11:00-13:00; expected spans that do not",
    ),
    "staff without a number": (
        '"+12025550111"',
        "Anna",
        "15:28 businesses.clinic.staff['Anna Reyes'].number: is not an E.164 number, got Anna; "
        'expected a number such as "+12025550142"',
    ),
    "notification in the file": (
        "${ANNA}",
        "json://anna:hunter2@example.com",
        "15:53 businesses.clinic.staff['Anna Reyes'].notify[0]: stands in the file, got ***; "
        "expected ${NAME}, and the value in the environment or .env.local",
    ),
    "notification of no service": (
        "${ANNA}",
        "${NAME}",
        "15:53 businesses.clinic.staff['Anna Reyes'].notify[0]: is no address of a notification "
        "service, got ${NAME}; expected an Apprise address such as ntfys://ntfy.sh/topic or "
        "mailto://user:secret@host",
    ),
    "destination": (
        '"+12025550112"',
        "sip:desk@example.com",
        "17:28 businesses.clinic.destinations.front_desk.number: is not an E.164 number, got "
        'sip:desk@example.com; expected a number such as "+12025550142"',
    ),
    "destination without a reason": (
        ", when: the caller asks for a person",
        "",
        "17:7 businesses.clinic.destinations.front_desk.when: is missing; expected the key `when`",
    ),
    "password in the file": (
        'password: "${NAME}"',
        "password: hunter2",
        "19:73 businesses.clinic.calendar.caldav.password: stands in the file, got ***; expected "
        "${NAME}, and the value in the environment or .env.local",
    ),
    "calendar inside": (
        "https://cal.example/c/",
        "https://10.0.0.7/c/",
        "19:21 businesses.clinic.calendar.caldav.url: leads to an address that is private, got "
        "https://10.0.0.7/c/; expected https://host/path with a public host, or its network in "
        "`allowed_receivers`",
    ),
    "two calendars": (
        "    memory:",
        "      google: {calendar: a@b.example, service_account: '${ACCOUNT}'}\n    memory:",
        "20:7 businesses.clinic.calendar.google: is a second calendar, got google; expected caldav "
        "or google",
    ),
    "service account": (
        'caldav: {url: "https://cal.example/c/", username: anna, password: "${NAME}"}',
        "google: {calendar: a@b.example, service_account: '${NAME}'}",
        "19:56 businesses.clinic.calendar.google.service_account: is no JSON, got ${NAME}; "
        "expected the whole JSON of a service account's key",
    ),
    "service account of nobody": (
        'caldav: {url: "https://cal.example/c/", username: anna, password: "${NAME}"}',
        "google: {calendar: a@b.example, service_account: '${HALF_ACCOUNT}'}",
        "19:56 businesses.clinic.calendar.google.service_account: has no private_key, got "
        "${HALF_ACCOUNT}; expected the whole JSON of a service account's key",
    ),
    "service account with a token from inside": (
        'caldav: {url: "https://cal.example/c/", username: anna, password: "${NAME}"}',
        "google: {calendar: a@b.example, service_account: '${INSIDE_ACCOUNT}'}",
        "19:56 businesses.clinic.calendar.google.service_account: has a token_uri that is http "
        "outside of this machine, got ${INSIDE_ACCOUNT}; expected an https URL",
    ),
    "retention": (
        "retention_days: 30",
        "retention_days: 0",
        "20:45 businesses.clinic.memory.retention_days: is too small, got 0; expected at least 1",
    ),
    "limits": (
        "tool_calls: 5",
        "tool_calls: 501",
        "38:30 businesses.clinic.lines[0].limits.tool_calls: is too large, got 501; expected at "
        "most 500",
    ),
    "reply in no tokens": (
        "reply_tokens: 150",
        "reply_tokens: 15",
        "21:46 businesses.clinic.limits.reply_tokens: is too small, got 15; expected at least 50",
    ),
    "reply in a variable": (
        "reply_tokens: 150",
        "reply_tokens: '${NAME}'",
        "21:46 businesses.clinic.limits.reply_tokens: is not a whole number, got ${NAME}; "
        "expected plain digits without quotes",
    ),
    "kind of turn taking": (
        "kind: server_vad",
        "kind: vad",
        "44:29 businesses.clinic.lines[1].turn_taking.kind: is not supported, got vad; expected "
        "'server_vad' or 'semantic_vad'",
    ),
    "eagerness": (
        "kind: server_vad, threshold: 0.6, silence_ms: 700",
        "eagerness: highest",
        "44:34 businesses.clinic.lines[1].turn_taking.eagerness: is not supported, got highest; "
        "expected 'low', 'medium', 'high' or 'auto'",
    ),
    "silence": (
        "silence_ms: 700",
        "silence_ms: 0.7",
        "44:69 businesses.clinic.lines[1].turn_taking.silence_ms: is not a whole number, got 0.7; "
        "expected plain digits without quotes",
    ),
    "silence of an hour": (
        "silence_ms: 700",
        "silence_ms: 3600000",
        "44:69 businesses.clinic.lines[1].turn_taking.silence_ms: is too large, got 3600000; "
        "expected at most 5000",
    ),
    "threshold in quotes": (
        "threshold: 0.6",
        "threshold: '0.6'",
        "44:52 businesses.clinic.lines[1].turn_taking.threshold: is not a number, got 0.6; "
        "expected a number such as 0.5 without quotes",
    ),
    "unknown key of turn taking": (
        "silence_ms: 700",
        "silence: 700",
        "44:57 businesses.clinic.lines[1].turn_taking.silence: unknown key, got silence; expected "
        "one of eagerness, kind, prefix_padding_ms, silence_ms, threshold (did you mean "
        '"silence_ms"?)',
    ),
    "what the other kind of turn taking listens to": (
        "kind: server_vad, threshold: 0.6, silence_ms: 700",
        "silence_ms: 700",
        "44:23 businesses.clinic.lines[1].turn_taking.silence_ms: says nothing to semantic_vad, "
        "got silence_ms; expected `kind: server_vad` beside it, or no silence_ms",
    ),
    "eagerness of silence": (
        "threshold: 0.6",
        "eagerness: low",
        "44:41 businesses.clinic.lines[1].turn_taking.eagerness: says nothing to server_vad, "
        "got eagerness; expected `kind: semantic_vad` beside it, or no eagerness",
    ),
    "name of a tool": (
        "      stock:",
        "      Stock:",
        "23:7 businesses.clinic.tools.Stock: is no name for a tool, got Stock; expected up to 63 "
        "of a-z, 0-9 and _, a letter first",
        "37:32 businesses.clinic.lines[0].tools[1]: is no tool of the workflow patient_questions "
        "or of the business, got stock; expected one of Stock, find_page, opening_hours (did you "
        'mean "Stock"?)',
    ),
    "tool of the workflow": (
        "      stock:",
        "      opening_hours:",
        "23:7 businesses.clinic.tools.opening_hours: is the name of a tool of the workflow "
        "patient_questions, got opening_hours; expected another name",
        "37:32 businesses.clinic.lines[0].tools[1]: is no tool of the workflow patient_questions "
        "or of the business, got stock; expected one of find_page, opening_hours",
    ),
    "tool of every business": (
        "[find_page]",
        "[switch_language, find_page]",
        "33:63 businesses.clinic.mcp_servers.docs.allowed_tools[0]: is the name of a tool of every "
        "business with several languages, got switch_language; expected another name",
    ),
    "tool of many workflows": (
        "[find_page]",
        "[transfer_call, find_page]",
        "33:63 businesses.clinic.mcp_servers.docs.allowed_tools[0]: is the name of a tool of many "
        "workflows, got transfer_call; expected another name",
    ),
    "tool that hands over": (
        "[find_page]",
        "[hand_over_to_sales, find_page]",
        "33:63 businesses.clinic.mcp_servers.docs.allowed_tools[0]: begins like the tools that "
        "hand a caller over, got hand_over_to_sales; expected another name",
    ),
    "tool of a server": (
        "[find_page]",
        "[stock, find_page]",
        "33:63 businesses.clinic.mcp_servers.docs.allowed_tools[0]: is the name of a tool of "
        "tools.stock, got stock; expected another name",
    ),
    "server that offers nothing": (
        "allowed_tools: [find_page]",
        "allowed_tools: []",
        "33:62 businesses.clinic.mcp_servers.docs.allowed_tools: is empty, got a list; expected at "
        "least one entry",
        "37:39 businesses.clinic.lines[0].tools[2]: is no tool of the workflow patient_questions "
        "or of the business, got find_page; expected one of opening_hours, stock",
    ),
    "server inside": (
        "https://docs.example/mcp",
        "https://docs.internal/mcp",
        "33:19 businesses.clinic.mcp_servers.docs.url: is a name that only a local network knows, "
        "got https://docs.internal/mcp; expected https://host/path with a public host, or its "
        "network in `allowed_receivers`",
    ),
    "tool by http": (
        "https://shop.example",
        "http://shop.example",
        "25:14 businesses.clinic.tools.stock.url: is http outside of this machine, got "
        "http://shop.example/stock/{article}?***; expected an https URL",
    ),
    "argument for a host": (
        "https://shop.example/stock/{article}",
        "https://{article}/stock",
        "25:14 businesses.clinic.tools.stock.url: names no host, got https://{article}/stock?***; "
        "expected https://host/path, the host in plain letters",
    ),
    "argument that is not there": (
        "/{article}",
        "/{item}",
        "25:14 businesses.clinic.tools.stock.url: uses the argument 'item', which is not there, "
        'got https://shop.example/stock/{item}?***; expected "item" among the arguments of the '
        "tool",
    ),
    "optional argument in a path": (
        "/{article}?size={size}",
        "/{size}",
        "25:14 businesses.clinic.tools.stock.url: has size in its path, which the model may leave "
        "out, got https://shop.example/stock/{size}; expected a required argument there",
    ),
    "brace": (
        "size={size}",
        "size={size",
        "25:14 businesses.clinic.tools.stock.url: has a brace that belongs to no argument, got "
        "https://shop.example/stock/{article}?***; expected {name} of an argument",
    ),
    "header in the file": (
        "Bearer ${NAME}",
        "Bearer hunter2",
        "26:34 businesses.clinic.tools.stock.headers.Authorization: stands in the file, got ***; "
        "expected ${NAME}, and the value in the environment or .env.local",
    ),
    "header of the request": (
        "Accept: application/json",
        "Host: '${NAME}'",
        "26:52 businesses.clinic.tools.stock.headers.Host: is set by the request itself, got Host; "
        "expected a header of your own",
    ),
    "header twice": (
        "Accept: application/json",
        "authorization: '${NAME}'",
        "26:52 businesses.clinic.tools.stock.headers.authorization: is there twice, got "
        "authorization; expected each header once",
    ),
    "type": (
        "type: integer",
        "type: int",
        "28:27 businesses.clinic.tools.stock.arguments.article.type: is not supported, got int; "
        "expected 'string', 'integer', 'number' or 'boolean'",
    ),
    "choices of another type": (
        "type: integer,",
        "type: integer, choices: [1, two],",
        "28:49 businesses.clinic.tools.stock.arguments.article.choices[1]: is no integer, got two; "
        "expected choices of the argument's type",
    ),
    "choice twice": (
        "[S, L]",
        "[S, S]",
        "29:70 businesses.clinic.tools.stock.arguments.size.choices[1]: is there twice, got S; "
        "expected each choice once",
    ),
    "timeout": (
        "timeout_seconds: 2.5",
        "timeout_seconds: 60",
        "30:26 businesses.clinic.tools.stock.timeout_seconds: is no time to wait, got 60; expected "
        "more than 0 and at most 30 seconds",
    ),
    "yes is not true": (
        "urgent_only: true",
        "urgent_only: yes",
        "15:78 businesses.clinic.staff['Anna Reyes'].urgent_only: is not true or false, got yes; "
        "expected true or false without quotes",
    ),
}
