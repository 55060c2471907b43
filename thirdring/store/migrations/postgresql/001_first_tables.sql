-- Times are UTC in one fixed ISO 8601 form with microseconds, so that text order is time order.
-- Ids are told apart and sorted byte by byte, as SQLite does, whatever the language of the database.

CREATE TABLE reference_numbers (
    business TEXT PRIMARY KEY,
    last BIGINT NOT NULL
);

CREATE TABLE appointments (
    business TEXT NOT NULL,
    starts_at TEXT COLLATE "C" NOT NULL,
    ends_at TEXT COLLATE "C" NOT NULL,
    reference TEXT NOT NULL,
    patient_name TEXT NOT NULL,
    patient_phone TEXT,
    call_id TEXT COLLATE "C" NOT NULL,
    -- The call and the tool call that made it: the same tool call never books twice.
    idempotency_key TEXT NOT NULL UNIQUE,
    booked_at TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business, starts_at),
    UNIQUE (business, reference)
);

CREATE TABLE records (
    call_id TEXT COLLATE "C" PRIMARY KEY,
    record_id TEXT COLLATE "C" NOT NULL UNIQUE,
    business TEXT,
    body BYTEA NOT NULL,
    stored_at TEXT COLLATE "C" NOT NULL,
    caller TEXT,
    opened_at TEXT COLLATE "C",
    ended_at TEXT COLLATE "C",
    reason TEXT
);

CREATE INDEX records_by_time ON records (opened_at);
CREATE INDEX records_by_business ON records (business, opened_at);

CREATE TABLE callers (
    business TEXT NOT NULL,
    number TEXT NOT NULL,
    first_call_at TEXT COLLATE "C" NOT NULL,
    last_call_at TEXT COLLATE "C" NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (business, number)
);

-- Where deliveries go. A receiver that answered 410 is parked until its address changes.
CREATE TABLE endpoints (
    business TEXT NOT NULL,
    sink TEXT NOT NULL,
    address_digest TEXT,
    parked_at TEXT COLLATE "C",
    PRIMARY KEY (business, sink)
);

-- A record never changes; how far its deliveries have come does.
CREATE TABLE deliveries (
    call_id TEXT COLLATE "C" NOT NULL REFERENCES records (call_id),
    sink TEXT NOT NULL,
    business TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'parked', 'dead', 'dismissed')),
    attempts BIGINT NOT NULL DEFAULT 0,
    due_at TEXT COLLATE "C",
    leased_by TEXT,
    leased_until TEXT COLLATE "C",
    settled_at TEXT COLLATE "C",
    last_status BIGINT,
    last_error TEXT,
    PRIMARY KEY (call_id, sink),
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK (state = 'pending' OR leased_by IS NULL),
    CHECK ((leased_by IS NULL) = (leased_until IS NULL))
);

-- A new delivery is due whatever the time is, hence an index of its own. The business and the sink
-- come first: a claim looks at each endpoint's oldest only.
CREATE INDEX deliveries_new ON deliveries (business, sink, due_at) WHERE state = 'pending' AND attempts = 0;
CREATE INDEX deliveries_again ON deliveries (business, sink, due_at) WHERE state = 'pending' AND attempts > 0;
CREATE INDEX deliveries_leased ON deliveries (leased_by) WHERE leased_by IS NOT NULL;
CREATE INDEX deliveries_by_state ON deliveries (state, settled_at);
