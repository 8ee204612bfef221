-- Who asked for a job, and always reads it; 0 for what the installation does by itself.
ALTER TABLE jobs ADD COLUMN user_id BIGINT NOT NULL DEFAULT 0;
-- Of a job without collection: 1 when only those may see it who see every collection.
ALTER TABLE jobs ADD COLUMN restricted BIGINT NOT NULL DEFAULT 0;
-- The write that made a job; it makes no second one while this is listed.
ALTER TABLE jobs ADD COLUMN write_key TEXT;
-- What a worker must have to do it, such as a directory of files; empty when any can.
ALTER TABLE jobs ADD COLUMN needs TEXT NOT NULL DEFAULT '';
-- 1 when the arguments are sealed, and forgotten at the end.
ALTER TABLE jobs ADD COLUMN sealed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN bytes_done BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN bytes_total BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX jobs_written ON jobs (service, account_id, write_key);
CREATE INDEX jobs_leased ON jobs (service, account_id) WHERE lease_owner <> '';
