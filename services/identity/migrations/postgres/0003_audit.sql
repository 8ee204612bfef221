-- One chain of events for each account; account 0 holds what belongs to none.
CREATE TABLE audit_events (
    account_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    user_id BIGINT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    time_ms BIGINT NOT NULL,
    event TEXT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, seq),
    UNIQUE (account_id, event_id)
);
CREATE INDEX audit_events_actor ON audit_events (account_id, user_id, seq);
CREATE INDEX audit_events_action ON audit_events (account_id, action, seq);
CREATE INDEX audit_events_time ON audit_events (account_id, time_ms);

-- The last event of each chain.
CREATE TABLE audit_heads (
    account_id BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL
);
