-- What tools do for callers: effects, calendar, memory, messages, callbacks, notifications, errands.

-- What tools have done, by the call and the tool call that asked: nothing is done twice.
CREATE TABLE effects (
    key TEXT COLLATE "C" PRIMARY KEY,
    business TEXT NOT NULL,
    call_id TEXT COLLATE "C" NOT NULL,
    tool TEXT NOT NULL,
    result TEXT NOT NULL,
    done_at TEXT COLLATE "C" NOT NULL
);

CREATE INDEX effects_by_age ON effects (business, done_at);

-- The calendar of a business that keeps none elsewhere.
CREATE TABLE events (
    business TEXT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    title TEXT NOT NULL,
    starts_at TEXT COLLATE "C" NOT NULL,
    ends_at TEXT COLLATE "C" NOT NULL,
    with_name TEXT,
    with_number TEXT,
    call_id TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    created_at TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business, id)
);

CREATE INDEX events_by_time ON events (business, starts_at);

-- A time that is kept free for a caller who is about to agree to it.
CREATE TABLE holds (
    business TEXT NOT NULL,
    starts_at TEXT COLLATE "C" NOT NULL,
    ends_at TEXT COLLATE "C" NOT NULL,
    call_id TEXT COLLATE "C" NOT NULL,
    expires_at TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business, starts_at)
);

-- What is known of a caller from earlier calls, and from which: what they said, or (of_call) what
-- the call came to.
CREATE TABLE caller_facts (
    business TEXT NOT NULL,
    number TEXT NOT NULL,
    fact TEXT NOT NULL,
    of_call INTEGER NOT NULL,
    call_id TEXT COLLATE "C" NOT NULL,
    noted_at TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business, number, fact)
);

CREATE INDEX caller_facts_by_age ON caller_facts (business, noted_at);

-- Who wants nothing to be remembered.
CREATE TABLE caller_opt_outs (
    business TEXT NOT NULL,
    number TEXT NOT NULL,
    call_id TEXT COLLATE "C" NOT NULL,
    opted_out_at TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business, number)
);

CREATE TABLE messages (
    id TEXT COLLATE "C" PRIMARY KEY,
    business TEXT NOT NULL,
    for_whom TEXT,
    from_name TEXT,
    from_number TEXT,
    body TEXT NOT NULL,
    urgent INTEGER NOT NULL DEFAULT 0,
    call_id TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    taken_at TEXT COLLATE "C" NOT NULL
);

CREATE INDEX messages_by_time ON messages (business, taken_at);
CREATE INDEX messages_by_call ON messages (call_id);

CREATE TABLE callbacks (
    id TEXT COLLATE "C" PRIMARY KEY,
    business TEXT NOT NULL,
    number TEXT NOT NULL,
    name TEXT,
    wanted TEXT NOT NULL,
    wanted_at TEXT COLLATE "C",
    reason TEXT,
    call_id TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    asked_at TEXT COLLATE "C" NOT NULL
);

CREATE INDEX callbacks_by_time ON callbacks (business, asked_at);
CREATE INDEX callbacks_by_call ON callbacks (call_id);

-- What staff are told; sent by the courier. The n-th (channel) of the addresses that somebody has.
CREATE TABLE notifications (
    id TEXT COLLATE "C" PRIMARY KEY,
    business TEXT NOT NULL,
    recipient TEXT NOT NULL,
    channel INTEGER NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    urgent INTEGER NOT NULL DEFAULT 0,
    call_id TEXT COLLATE "C" NOT NULL,
    created_at TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at TEXT COLLATE "C",
    leased_by TEXT,
    leased_until TEXT COLLATE "C",
    settled_at TEXT COLLATE "C",
    last_error TEXT,
    CHECK ((state = 'pending') = (due_at IS NOT NULL))
);

CREATE INDEX notifications_due ON notifications (business, recipient, channel, due_at) WHERE state = 'pending';
CREATE INDEX notifications_by_state ON notifications (business, state, settled_at);
CREATE INDEX notifications_by_call ON notifications (call_id);

-- What somebody else is to be called for.
CREATE TABLE errands (
    id TEXT COLLATE "C" NOT NULL,
    business TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open',
    number TEXT,
    details TEXT NOT NULL,
    result TEXT,
    call_id TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    created_at TEXT COLLATE "C" NOT NULL,
    updated_at TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business, id)
);

CREATE INDEX errands_open ON errands (business, created_at);
