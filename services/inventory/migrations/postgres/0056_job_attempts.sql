-- Failed attempts in a row.
ALTER TABLE inventory_jobs ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
