-- Events on their way; a row is gone when its receiver has it. Rows live for seconds and belong to no account's data.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    event_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (topic, event_id)
);
CREATE INDEX outbox_order ON outbox (topic, seq);

-- Which process delivers a topic.
CREATE TABLE outbox_leases (
    topic TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until BIGINT NOT NULL
);

-- Events that their receiver will never take, with its reason.
CREATE TABLE outbox_rejected (
    topic TEXT NOT NULL,
    event_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    reason TEXT NOT NULL,
    rejected_at BIGINT NOT NULL,
    PRIMARY KEY (topic, event_id)
);
