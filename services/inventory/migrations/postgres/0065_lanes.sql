-- Grows with every commit of a partition, also when its position stays.
ALTER TABLE ingest_cursors ADD COLUMN commits BIGINT NOT NULL DEFAULT 0;

-- Accounts whose records are in the inventory up to an offset behind the position of the partition; lane is the account,
-- 0 for records that name none.
CREATE TABLE ingest_lanes (
    source TEXT COLLATE "C" NOT NULL,
    partition_id BIGINT NOT NULL,
    lane BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (source, partition_id, lane)
);

-- The last record of each producer in each lane of a partition, in a log that may hold a repeated append twice; lane -1
-- for records of all accounts that were read in the order of the partition.
CREATE TABLE ingest_marks (
    source TEXT COLLATE "C" NOT NULL,
    partition_id BIGINT NOT NULL,
    producer_id TEXT COLLATE "C" NOT NULL,
    lane BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    record_index BIGINT NOT NULL,
    -- Unix seconds.
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (source, partition_id, producer_id, lane)
);
INSERT INTO ingest_marks (source, partition_id, producer_id, lane, sequence, record_index, seen_at)
SELECT source, partition_id, producer_id, -1, sequence, record_index, seen_at FROM ingest_producers;
CREATE INDEX ingest_marks_seen ON ingest_marks (seen_at);

-- Whose records a reservation waits for.
ALTER TABLE endpoint_reservations ADD COLUMN account_id BIGINT NOT NULL DEFAULT 0;
