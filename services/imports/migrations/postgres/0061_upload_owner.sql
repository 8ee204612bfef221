-- Who uploaded it; 0 for those of before, which only whoever sees every collection reads.
ALTER TABLE uploads ADD COLUMN user_id BIGINT NOT NULL DEFAULT 0;
