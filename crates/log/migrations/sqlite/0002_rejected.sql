-- The account that the record names; 0 when it could not be told.
ALTER TABLE log_rejected ADD COLUMN account_id BIGINT NOT NULL DEFAULT 0;
-- Of the record, so that it can be appended again.
ALTER TABLE log_rejected ADD COLUMN record_key BLOB NOT NULL DEFAULT X'';
CREATE INDEX log_rejected_accounts ON log_rejected (topic, account_id, created_at);
