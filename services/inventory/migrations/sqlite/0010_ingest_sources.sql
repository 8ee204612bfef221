-- Progress by log: offsets of one log mean nothing in another.
CREATE TABLE ingest_cursors (
    source TEXT NOT NULL,
    partition_id BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (source, partition_id)
);
INSERT INTO ingest_cursors (source, partition_id, next_offset)
SELECT 'embedded', partition_id, next_offset FROM ingest_positions;
DROP TABLE ingest_positions;

-- The last record of each producer in each partition of a log that may hold a repeated append twice.
CREATE TABLE ingest_producers (
    source TEXT NOT NULL,
    partition_id BIGINT NOT NULL,
    producer_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    record_index BIGINT NOT NULL,
    -- Unix seconds.
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (source, partition_id, producer_id)
);
CREATE INDEX ingest_producers_seen ON ingest_producers (seen_at);
