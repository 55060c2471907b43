-- Times are UTC in one fixed ISO 8601 form with microseconds, so that text order is time order.

CREATE TABLE reference_numbers (
    business TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE appointments (
    business TEXT NOT NULL,
    starts_at TEXT NOT NULL,
    ends_at TEXT NOT NULL,
    reference TEXT NOT NULL,
    patient_name TEXT NOT NULL,
    patient_phone TEXT,
    call_id TEXT NOT NULL,
    -- The call and the tool call that made it: the same tool call never books twice.
    idempotency_key TEXT NOT NULL UNIQUE,
    booked_at TEXT NOT NULL,
    PRIMARY KEY (business, starts_at),
    UNIQUE (business, reference)
) STRICT;

CREATE TABLE records (
    call_id TEXT PRIMARY KEY,
    record_id TEXT NOT NULL UNIQUE,
    business TEXT,
    body BLOB NOT NULL,
    stored_at TEXT NOT NULL
) STRICT;

-- A record never changes; how far its delivery has come does.
CREATE TABLE deliveries (
    call_id TEXT PRIMARY KEY REFERENCES records (call_id),
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'disabled', 'dead', 'kept')),
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at TEXT,
    settled_at TEXT,
    last_status INTEGER,
    last_error TEXT,
    CHECK ((state = 'pending') = (due_at IS NOT NULL))
) STRICT;

CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state = 'pending';
