-- Events on their way; a row is gone when its receiver has it. Rows live for seconds and belong to no account's data.
CREATE TABLE outbox (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    -- Events of one key keep their order; those of different keys do not wait for each other.
    event_key TEXT COLLATE "C" NOT NULL DEFAULT '',
    payload TEXT NOT NULL,
    -- Unix seconds.
    created_at BIGINT NOT NULL DEFAULT 0,
    UNIQUE (topic, event_id)
);
CREATE INDEX outbox_order ON outbox (topic, seq);

-- Which process delivers a topic.
CREATE TABLE outbox_leases (
    topic TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL
);

-- Keys whose oldest event was not taken yet, and when it is tried again.
CREATE TABLE outbox_waits (
    topic TEXT COLLATE "C" NOT NULL,
    event_key TEXT COLLATE "C" NOT NULL,
    tries BIGINT NOT NULL,
    -- Unix seconds.
    due_at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (topic, event_key)
);

-- Events that their receiver will never take, with its reason.
CREATE TABLE outbox_rejected (
    topic TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    payload TEXT NOT NULL,
    reason TEXT NOT NULL,
    rejected_at BIGINT NOT NULL,
    PRIMARY KEY (topic, event_id)
);
