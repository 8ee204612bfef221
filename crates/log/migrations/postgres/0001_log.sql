CREATE TABLE log_partitions (
    topic            TEXT   NOT NULL,
    partition_id     BIGINT NOT NULL,
    next_offset      BIGINT NOT NULL,
    log_start_offset BIGINT NOT NULL,
    PRIMARY KEY (topic, partition_id)
);

CREATE TABLE log_batches (
    topic        TEXT   NOT NULL,
    partition_id BIGINT NOT NULL,
    base_offset  BIGINT NOT NULL,
    record_count BIGINT NOT NULL,
    raw_bytes    BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    payload      BYTEA  NOT NULL,
    PRIMARY KEY (topic, partition_id, base_offset)
);

CREATE TABLE log_producers (
    topic       TEXT   NOT NULL,
    producer_id TEXT   NOT NULL,
    sequence    BIGINT NOT NULL,
    positions   TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (topic, producer_id, sequence)
);
CREATE INDEX log_producers_created_at ON log_producers (created_at);

CREATE TABLE log_rejected (
    topic         TEXT   NOT NULL,
    partition_id  BIGINT NOT NULL,
    record_offset BIGINT NOT NULL,
    reason        TEXT   NOT NULL,
    value         BYTEA  NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (topic, partition_id, record_offset)
);

-- Payloads are compressed already: the server need not try again.
ALTER TABLE log_batches ALTER COLUMN payload SET STORAGE EXTERNAL;
