-- A record goes to any number of sinks, each with a delivery of its own, or to none; several
-- couriers share the deliveries by leases.

ALTER TABLE records ADD COLUMN caller TEXT;
ALTER TABLE records ADD COLUMN opened_at TEXT;
ALTER TABLE records ADD COLUMN ended_at TEXT;
ALTER TABLE records ADD COLUMN reason TEXT;

-- So far these were in the body only.
UPDATE records
SET caller = json_extract(CAST(body AS TEXT), '$.caller_number'),
    opened_at = strftime('%Y-%m-%dT%H:%M:%f', json_extract(CAST(body AS TEXT), '$.opened_at')) || '000+00:00',
    ended_at = strftime('%Y-%m-%dT%H:%M:%f', json_extract(CAST(body AS TEXT), '$.ended_at')) || '000+00:00',
    reason = json_extract(CAST(body AS TEXT), '$.ending.reason')
WHERE json_valid(CAST(body AS TEXT));
UPDATE records
SET opened_at = coalesce(opened_at, stored_at),
    ended_at = coalesce(ended_at, stored_at),
    reason = coalesce(reason, 'interrupted');

CREATE INDEX records_by_time ON records (opened_at);
CREATE INDEX records_by_business ON records (business, opened_at);

CREATE TABLE callers (
    business TEXT NOT NULL,
    number TEXT NOT NULL,
    first_call_at TEXT NOT NULL,
    last_call_at TEXT NOT NULL,
    calls INTEGER NOT NULL,
    PRIMARY KEY (business, number)
) STRICT;

INSERT INTO callers (business, number, first_call_at, last_call_at, calls)
SELECT business, caller, min(opened_at), max(opened_at), count(*)
FROM records
WHERE business IS NOT NULL AND caller IS NOT NULL
GROUP BY business, caller;

-- Where deliveries go. A receiver that answered 410 is parked until its address changes.
CREATE TABLE endpoints (
    business TEXT NOT NULL,
    sink TEXT NOT NULL,
    address_digest TEXT,
    parked_at TEXT,
    PRIMARY KEY (business, sink)
) STRICT;

ALTER TABLE deliveries RENAME TO old_deliveries;
DROP INDEX deliveries_due;

CREATE TABLE deliveries (
    call_id TEXT NOT NULL REFERENCES records (call_id),
    sink TEXT NOT NULL,
    business TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'parked', 'dead', 'dismissed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at TEXT,
    leased_by TEXT,
    leased_until TEXT,
    settled_at TEXT,
    last_status INTEGER,
    last_error TEXT,
    PRIMARY KEY (call_id, sink),
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK (state = 'pending' OR leased_by IS NULL),
    CHECK ((leased_by IS NULL) = (leased_until IS NULL))
) STRICT;

INSERT INTO deliveries (call_id, sink, business, state, attempts, due_at, settled_at, last_status, last_error)
SELECT call_id, 'webhook', business, CASE state WHEN 'disabled' THEN 'parked' ELSE state END,
    attempts, due_at, settled_at, last_status, last_error
FROM old_deliveries JOIN records USING (call_id)
WHERE state <> 'kept' AND business IS NOT NULL;

-- No endpoint is parked by this: so far a 410 counted for one record only.
INSERT INTO endpoints (business, sink)
SELECT DISTINCT business, 'webhook' FROM deliveries;

DROP TABLE old_deliveries;

-- A new delivery is due whatever the time is, hence an index of its own. The sink and the business
-- come first: a claim looks at each endpoint's oldest only.
CREATE INDEX deliveries_new ON deliveries (business, sink, due_at) WHERE state = 'pending' AND attempts = 0;
CREATE INDEX deliveries_again ON deliveries (business, sink, due_at) WHERE state = 'pending' AND attempts > 0;
CREATE INDEX deliveries_leased ON deliveries (leased_by) WHERE leased_by IS NOT NULL;
CREATE INDEX deliveries_by_state ON deliveries (state, settled_at);
