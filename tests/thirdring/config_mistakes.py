"""Mistakes in a good `thirdring.yaml`, and what is said about each."""

from __future__ import annotations

from thirdring.workflow import CALL_FACTS

__all__ = ["BAD"]

# Each row: what stands in the good file, what stands there instead, and the problems without the
# name of the file.
BAD: dict[str, tuple[str, ...]] = {
    "unknown key": (
        "workflow: patient_questions\n        tools",
        "workflow: patient_questions\n        voise: marin\n        tools",
        "17:9 businesses.clinic.lines[0].voise: unknown key, got voise; expected one of "
        "agent_name, ai_instructions, greeting, instructions, limits, model, number, tools, "
        "transcription_model, turn_taking, voice, voice_id, workflow "
        '(did you mean "voice"?)',
    ),
    "unknown key at the top": (
        "gateway:",
        "gatewy:",
        "22:1 gatewy: unknown key, got gatewy; expected one of allowed_receivers, businesses, "
        "default_line, gateway, "
        'trunks, version, worker (did you mean "gateway"?)',
    ),
    "unknown key of a webhook": (
        "      secret:",
        "      Secret:",
        "11:5 businesses.clinic.webhook.secret: is missing; expected the key `secret`",
        "13:7 businesses.clinic.webhook.Secret: unknown key, got Secret; expected one of "
        'previous_secret, secret, url (did you mean "secret"?)',
    ),
    "unknown day": (
        "monday:",
        "mondayy:",
        "9:7 businesses.clinic.hours.mondayy: unknown key, got mondayy; expected one of friday, "
        "monday, saturday, sunday, thursday, tuesday, wednesday "
        '(did you mean "monday"?)',
    ),
    "duplicate key": (
        "    slot_minutes: 20\n",
        "    slot_minutes: 20\n    slot_minutes: 30\n",
        "11:5 businesses.clinic.slot_minutes: duplicate key, first on line 10; "
        "expected each key once",
    ),
    "missing key": (
        "    name: Riverside Clinic\n",
        "",
        "3:3 businesses.clinic.name: is missing; expected the key `name`",
    ),
    "missing variable": (
        "${THIRDRING_WEBHOOK_URL}",
        "${NO_SUCH_URL}",
        "12:12 businesses.clinic.webhook.url: the variable NO_SUCH_URL is not set, "
        "got ${NO_SUCH_URL}; expected NO_SUCH_URL in the environment "
        "or .env.local, or a running `make up`",
    ),
    "malformed variable": (
        "Free parking.",
        "Costs ${5}",
        "7:14 businesses.clinic.facts.notes: `${` begins no variable, got Costs ${5}; "
        "expected ${NAME}, or $${ for the characters themselves",
    ),
    "two lines with one number": (
        '"+12025550142"',
        '"+12025550143"',
        "19:17 businesses.clinic.lines[1].number: is the number of another line, "
        "businesses.clinic.lines[0].number at FILE:15:17, got +12025550143; expected one line each",
    ),
    "not E.164": (
        '"+12025550142"',
        '"(202) 555-0142"',
        "15:17 businesses.clinic.lines[0].number: is not an E.164 number, got (202) 555-0142; "
        'expected a number such as "+12025550142"',
    ),
    "a number without quotes": (
        '"+12025550142"',
        "+12025550142",
        "15:17 businesses.clinic.lines[0].number: is not a string, got +12025550142; "
        "expected text; in quotes if it looks like something else",
    ),
    "no is not a voice": (
        "tools: [opening_hours]",
        "voice: no",
        "17:16 businesses.clinic.lines[0].voice: is not a string, got no; "
        "expected text; in quotes if it looks like something else",
    ),
    "octal": (
        "max_calls: 20",
        "max_calls: 012",
        "25:14 gateway.max_calls: is not a whole number, got 012; "
        "expected plain digits without quotes",
    ),
    "unknown voice": (
        "tools: [opening_hours]",
        "voice: marine",
        "17:16 businesses.clinic.lines[0].voice: is no voice of the model, got marine; expected "
        "one of alloy, ash, ballad, cedar, coral, echo, marin, sage, shimmer, verse "
        '(did you mean "marin"?)',
    ),
    "unknown workflow": (
        "patient_questions\n        tools",
        "patient_question\n        tools",
        "16:19 businesses.clinic.lines[0].workflow: is no workflow, got patient_question; expected "
        'one of needy, patient_questions, reminder (did you mean "patient_questions"?)',
    ),
    "unknown tool": (
        "[opening_hours]",
        "[opening_hour]",
        "17:17 businesses.clinic.lines[0].tools[0]: is no tool of the workflow patient_questions, "
        'got opening_hour; expected one of opening_hours (did you mean "opening_hours"?)',
    ),
    "unknown fact in a greeting": (
        "{{ notes }}",
        "{{ note }}",
        "18:19 businesses.clinic.lines[0].greeting: uses the unknown fact 'note', got Welcome to "
        "{{ facility_name }}. {{ note }}; expected one of " + ", ".join(sorted(CALL_FACTS)) + " "
        '(did you mean "notes"?)',
    ),
    "a brace too few in a greeting": (
        "{{ notes }}",
        "{{ notes }",
        "18:19 businesses.clinic.lines[0].greeting: has {{ or }} without its other half, got "
        "Welcome to {{ facility_name }}. {{ notes }; expected {{ name }}",
    ),
    "placeholder in a fact": (
        "Free parking.",
        "Parking at {{ address }}.",
        "7:14 businesses.clinic.facts.notes: has a placeholder, got Parking at {{ address }}.; "
        "expected text: facts are not filled in themselves",
    ),
    "default line that is none": (
        'default_line: "+12025550143"',
        'default_line: "+12025550149"',
        "21:15 default_line: is the number of no line, got +12025550149; expected one of "
        '+12025550142, +12025550143 (did you mean "+12025550143"?)',
    ),
    "http outside of loopback": (
        "${THIRDRING_WEBHOOK_URL}",
        "http://records.example/hook?token=hunter2",
        "12:12 businesses.clinic.webhook.url: is http outside of this machine, "
        "got http://records.example/hook?***; "
        "expected an https URL",
    ),
    "password in a URL": (
        "${THIRDRING_WEBHOOK_URL}",
        "https://anna:hunter2@records.example/",
        "12:12 businesses.clinic.webhook.url: holds a user name or a password, "
        "got https://***@records.example/; expected a URL without them",
    ),
    "secret in the file": (
        "${THIRDRING_WEBHOOK_SECRET}",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "13:15 businesses.clinic.webhook.secret: stands in the file, got ***; "
        "expected ${NAME}, and the secret in the environment or .env.local",
    ),
    "secret that is none": (
        "${THIRDRING_WEBHOOK_SECRET}",
        "${NAME}",
        "13:15 businesses.clinic.webhook.secret: does not begin with whsec_, got ${NAME}; "
        "expected whsec_ and base64 of 24 to 64 random bytes",
    ),
    "previous secret in the file": (
        "    lines:",
        "      previous_secret: hunter2\n    lines:",
        "14:24 businesses.clinic.webhook.previous_secret: does not begin with whsec_, got ***; "
        "expected whsec_ and base64 of 24 to 64 random bytes",
        "14:24 businesses.clinic.webhook.previous_secret: stands in the file, got ***; "
        "expected ${NAME}, and the secret in the environment or .env.local",
    ),
    "previous secret that is the same": (
        "    lines:",
        "      previous_secret: ${THIRDRING_WEBHOOK_SECRET}\n    lines:",
        "14:24 businesses.clinic.webhook.previous_secret: is the same as secret, "
        "got ${THIRDRING_WEBHOOK_SECRET}; expected the secret before this one, or no such key",
    ),
    "previous secret that is weak": (
        "    lines:",
        "      previous_secret: ${WEAK}\n    lines:",
        "14:24 businesses.clinic.webhook.previous_secret: is too short, got ${WEAK}; "
        "expected whsec_ and base64 of 24 to 64 random bytes",
    ),
    "weak secret": (
        "${THIRDRING_WEBHOOK_SECRET}",
        "${WEAK}",
        "13:15 businesses.clinic.webhook.secret: is too short, got ${WEAK}; "
        "expected whsec_ and base64 of 24 to 64 random bytes",
    ),
    "loopback that is not allowed": (
        "${THIRDRING_WEBHOOK_URL}",
        "http://127.0.0.1:8090/?token=hunter2",
        "12:12 businesses.clinic.webhook.url: leads to this machine, "
        "got http://127.0.0.1:8090/?***; expected https://host/path with a public host, "
        'or `allowed_receivers: [127.0.0.0/8, "::1/128"]` at the top of the file',
    ),
    "private address": (
        "${THIRDRING_WEBHOOK_URL}",
        "https://192.168.7.7/",
        "12:12 businesses.clinic.webhook.url: leads to an address that is private, "
        "got https://192.168.7.7/; expected https://host/path with a public host, "
        "or its network in `allowed_receivers`",
    ),
    "port of a database": (
        "${THIRDRING_WEBHOOK_URL}",
        "https://records.example:6379/",
        "12:12 businesses.clinic.webhook.url: has a port of other services, "
        "got https://records.example:6379/; expected port 443 or 8443, "
        "or the receiver's network in `allowed_receivers`",
    ),
    "receiver that nobody may be": (
        "version: 1",
        "version: 1\nallowed_receivers: [169.254.169.254, 10.0.0.0/8]",
        "2:21 allowed_receivers[0]: is never opened: nobody's, the metadata of a cloud, "
        "or IPv4 written as IPv6, "
        "got 169.254.169.254; expected a network of receivers",
    ),
    "receiver that is no network": (
        "version: 1",
        "version: 1\nallowed_receivers: [crm.example]",
        "2:21 allowed_receivers[0]: is no network, got crm.example; "
        "expected an address or a network, such as 192.0.2.7 or 192.0.2.0/24",
    ),
    "unknown sink": (
        "    lines:",
        "    sinks: {mongo: {}}\n    lines:",
        "14:13 businesses.clinic.sinks.mongo: unknown key, got mongo; expected one of "
        'file, mongodb (did you mean "mongodb"?)',
    ),
    "file of no name": (
        "    lines:",
        "    sinks: {file: {path: records/..}}\n    lines:",
        "14:26 businesses.clinic.sinks.file.path: names no file, got records/..; "
        "expected a path such as records.jsonl",
    ),
    "file among the journals": (
        "    lines:",
        "    sinks: {file: {path: ./journals/clinic.jsonl}}\n    lines:",
        "14:26 businesses.clinic.sinks.file.path: is a place of Thirdring's own, "
        "got ./journals/clinic.jsonl; expected a path such as records.jsonl",
    ),
    "file in place of the store": (
        "    lines:",
        "    sinks: {file: {path: x/../store.db}}\n    lines:",
        "14:26 businesses.clinic.sinks.file.path: is a place of Thirdring's own, "
        "got x/../store.db; expected a path such as records.jsonl",
    ),
    "MongoDB without a database": (
        "    lines:",
        "    sinks: {mongodb: {url: mongodb://host/}}\n    lines:",
        "14:13 businesses.clinic.sinks.mongodb.database: is missing; expected the key `database`",
    ),
    "password of MongoDB in the file": (
        "    lines:",
        "    sinks: {mongodb: {url: mongodb://anna:hunter2@host/, database: d}}\n    lines:",
        "14:28 businesses.clinic.sinks.mongodb.url: has a password that stands in the file, "
        "got mongodb://***@host/; expected ${NAME} for the password or the whole URL",
    ),
    "address that is not of MongoDB": (
        "    lines:",
        "    sinks: {mongodb: {url: postgresql://host/, database: d}}\n    lines:",
        "14:28 businesses.clinic.sinks.mongodb.url: is no address of MongoDB, "
        "got postgresql://host/; expected mongodb://host or mongodb+srv://host",
    ),
    "address that MongoDB's driver does not take": (
        "    lines:",
        "    sinks: {mongodb: {url: 'mongodb://anna:${NAME}/@host/', database: d}}\n    lines:",
        "14:28 businesses.clinic.sinks.mongodb.url: is not understood by MongoDB's driver, "
        "got mongodb://***@host/; expected mongodb://user:password@host/, "
        "with %40 for @, %2F for / and so on in both",
    ),
    "collection of the server's own": (
        "    lines:",
        "    sinks: {mongodb: {url: mongodb://host/, database: d, collection: system.users}}\n"
        "    lines:",
        "14:70 businesses.clinic.sinks.mongodb.collection: is no name for a collection, "
        "got system.users; "
        "expected up to 120 of letters, digits, _, - and ., a letter or _ first",
    ),
    "time zone": (
        "America/New_York",
        "America/NewYork",
        "5:16 businesses.clinic.time_zone: is no time zone, got America/NewYork; "
        'expected a name such as America/New_York (did you mean "America/New_York"?)',
    ),
    "overlapping hours": (
        "13:00-17:00",
        "11:30-17:00",
        "9:31 businesses.clinic.hours.monday[1]: overlaps another span of the day, "
        "got 11:30-17:00; expected spans that do not",
    ),
    "hours that close first": (
        "13:00-17:00",
        "17:00-13:00",
        "9:31 businesses.clinic.hours.monday[1]: is no span of a day, got 17:00-13:00; "
        'expected "HH:MM-HH:MM" such as "09:00-17:00", opening before it closes',
    ),
    "hours in no list": (
        '["09:00-12:00", "13:00-17:00"]',
        "9-17",
        "9:15 businesses.clinic.hours.monday: is not a list, got 9-17; "
        'expected a list, such as ["09:00-17:00"]',
    ),
    "hours without minutes": (
        '"09:00-12:00", "13:00-17:00"',
        "9-17",
        "9:16 businesses.clinic.hours.monday[0]: is no span of a day, got 9-17; "
        'expected "HH:MM-HH:MM" such as "09:00-17:00", opening before it closes',
    ),
    "slot too long": (
        "slot_minutes: 20",
        "slot_minutes: 241",
        "10:19 businesses.clinic.slot_minutes: is too large, got 241; expected at most 240",
    ),
    "odd port": (
        "20000-20999",
        "20001-20999",
        "24:14 gateway.rtp_ports: is no range of ports, got 20001-20999; "
        "expected first-last within 1024-65535, the first even and the last odd",
    ),
    "too few ports": (
        "20000-20999",
        "20000-20037",
        "24:14 gateway.rtp_ports: leaves too few ports for 20 calls, got 20000-20037; "
        "expected two ports for each of max_calls",
    ),
    "listening to everybody": (
        "127.0.0.1:5060",
        "0.0.0.0:5060",
        "23:11 gateway.listen: listens outside of this machine with no allowed_addresses, "
        "got 0.0.0.0:5060; expected the addresses that may call in allowed_addresses, "
        "or a loopback address",
    ),
    "listening on a name": (
        "127.0.0.1:5060",
        "pbx.example:5060",
        "23:11 gateway.listen: is no address to listen on, got pbx.example:5060; "
        "expected address:port with an IP address, such as 127.0.0.1:5060",
    ),
    "network": (
        "  max_calls: 20",
        "  allowed_addresses: [10.0.0.1/8]",
        "25:23 gateway.allowed_addresses[0]: is an address inside a network, got 10.0.0.1/8; "
        "expected the network, such as 192.0.2.0/24, or the address alone, such as 192.0.2.7",
    ),
    "network in no list": (
        "  max_calls: 20",
        "  allowed_addresses: 10.0.0.1/8",
        "25:22 gateway.allowed_addresses: is not a list, got 10.0.0.1/8; "
        'expected a list, such as [192.0.2.0/24, "::1/128"]',
    ),
    "python tag": (
        "Free parking.",
        "!!python/object/apply:os.system [id]",
        "7:14 businesses.clinic.facts.notes: has the tag '!!python/object/apply:os.system'; "
        "expected a plain value without a tag",
    ),
    "merge key": (
        "    slot_minutes: 20",
        "    <<: {slot_minutes: 20}",
        "10:5 businesses.clinic: has a merge key (`<<`); expected the keys written out",
    ),
    "key that is no string": (
        "  clinic:",
        "  404:",
        "3:3 businesses: has the key '404', which is no string; expected the key in quotes",
    ),
    "key that breaks lines": (
        "version: 1",
        'version: 1\n"a\\nb": 2',
        "2:1 ['a\\nb']: unknown key, got a\\nb; expected one of allowed_receivers, businesses, "
        "default_line, gateway, trunks, version, worker",
    ),
    "version of the future": (
        "version: 1",
        "version: 2",
        "1:10 version: is not supported, got 2; expected 1",
    ),
    "scalar for a list": (
        "tools: [opening_hours]",
        "tools: opening_hours",
        "17:16 businesses.clinic.lines[0].tools: is not a list, got opening_hours; "
        "expected a list, such as [first, second]",
    ),
    "list for a mapping": (
        "webhook:\n      url: ${THIRDRING_WEBHOOK_URL}\n      secret: ${THIRDRING_WEBHOOK_SECRET}",
        "webhook: [a]",
        "11:14 businesses.clinic.webhook: is not a mapping, got a list; expected keys with values",
    ),
    "slug": (
        "  clinic:",
        "  ../etc:",
        "3:3 businesses['../etc']: is no name for a business, got ../etc; "
        "expected 1 to 63 of a-z, 0-9, _ and -",
    ),
}
