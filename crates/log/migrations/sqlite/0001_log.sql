-- The log that stands in tables, for installations without a Kafka server.

-- Offsets of a partition that can be read: from `log_start_offset` to below `next_offset`.
CREATE TABLE log_partitions (
    topic TEXT NOT NULL,
    partition_id BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    log_start_offset BIGINT NOT NULL,
    PRIMARY KEY (topic, partition_id)
);

-- Records as they were appended together, compressed; a reader begins at the last batch at or below its offset.
CREATE TABLE log_batches (
    topic TEXT NOT NULL,
    partition_id BIGINT NOT NULL,
    base_offset BIGINT NOT NULL,
    record_count BIGINT NOT NULL,
    -- Of the records before they were compressed.
    raw_bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (topic, partition_id, base_offset)
);

-- What a producer appended under a number, so that a repeat appends nothing and returns the same positions (JSON).
CREATE TABLE log_producers (
    topic TEXT NOT NULL,
    producer_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    positions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (topic, producer_id, sequence)
);
CREATE INDEX log_producers_created_at ON log_producers (created_at);

-- Records that could not be taken, kept until they are appended again or forgotten.
CREATE TABLE log_rejected (
    topic TEXT NOT NULL,
    partition_id BIGINT NOT NULL,
    record_offset BIGINT NOT NULL,
    -- The account that the record names; 0 when it could not be told.
    account_id BIGINT NOT NULL DEFAULT 0,
    reason TEXT NOT NULL,
    record_key BLOB NOT NULL DEFAULT X'',
    value BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (topic, partition_id, record_offset)
);
CREATE INDEX log_rejected_accounts ON log_rejected (topic, account_id, created_at);
