-- What a consumer works on: the process, and the records from work_from up to work_to. A process that ends in order
-- takes its name away, so a name that stays is that of one that died there.
ALTER TABLE ingest_cursors ADD COLUMN work_owner TEXT COLLATE "C";
ALTER TABLE ingest_cursors ADD COLUMN work_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ingest_cursors ADD COLUMN work_to BIGINT NOT NULL DEFAULT 0;
-- Records at which processes died, how often; they are read one by one.
ALTER TABLE ingest_cursors ADD COLUMN suspect_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ingest_cursors ADD COLUMN suspect_to BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ingest_cursors ADD COLUMN deaths BIGINT NOT NULL DEFAULT 0;
-- Failed tries to read the batch at next_offset.
ALTER TABLE ingest_cursors ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;

-- Processes that consume; a count that stands still is that of a process that died.
CREATE TABLE ingest_consumers (
    owner TEXT COLLATE "C" PRIMARY KEY,
    beat BIGINT NOT NULL
);
