-- Attempts since a job last came further, with the one under way.
ALTER TABLE import_jobs ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
