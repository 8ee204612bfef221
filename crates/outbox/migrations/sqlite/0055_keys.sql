-- Events of one key keep their order; those of different keys do not wait for each other.
ALTER TABLE outbox ADD COLUMN event_key TEXT NOT NULL DEFAULT '';
-- Unix seconds.
ALTER TABLE outbox ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
UPDATE outbox SET created_at = CAST(strftime('%s', 'now') AS INTEGER);

-- Keys whose oldest event was not taken yet, and when it is tried again.
CREATE TABLE outbox_waits (
    topic TEXT NOT NULL,
    event_key TEXT NOT NULL,
    tries BIGINT NOT NULL,
    -- Unix seconds.
    due_at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (topic, event_key)
);
