ALTER TABLE collections ADD COLUMN conditions TEXT;
ALTER TABLE collections ADD COLUMN dropped_records BIGINT NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN values_removed BIGINT NOT NULL DEFAULT 1;

-- Which endpoints a group shows, by effective URL.
CREATE TABLE group_members (
    account_id BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    url_key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, group_id, collection_id, url_key)
);
CREATE INDEX group_members_endpoint ON group_members (account_id, collection_id, url_key);

-- Templates that were taken apart by hand, with what they had gathered until then.
CREATE TABLE demerged_urls (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    url_key TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    kept TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, collection_id, url_key)
);
INSERT INTO inventory_sequences (name, next_id) VALUES ('demerged', 1);

ALTER TABLE inventory_jobs ADD COLUMN state TEXT NOT NULL DEFAULT 'PENDING';
-- At most one job of a name is active in an account; a request that comes meanwhile makes it start again.
ALTER TABLE inventory_jobs ADD COLUMN active_name TEXT COLLATE "C";
ALTER TABLE inventory_jobs ADD COLUMN asked_again BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inventory_jobs ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE inventory_jobs ADD COLUMN done_items BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inventory_jobs ADD COLUMN error TEXT;
ALTER TABLE inventory_jobs ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE inventory_jobs SET active_name = job_id, updated_at = created_at;
CREATE UNIQUE INDEX inventory_jobs_active ON inventory_jobs (account_id, active_name);
CREATE INDEX inventory_jobs_due ON inventory_jobs (lease_until) WHERE active_name IS NOT NULL;
