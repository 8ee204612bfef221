-- Each request for a recomputation, as its account sees it. It is answered by the run of its number, or a later one.
CREATE TABLE usage_refresh_jobs (
    job_id TEXT NOT NULL PRIMARY KEY,
    account_id BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    differences BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    -- 0 while it waits or runs.
    finished_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX usage_refresh_jobs_by_account ON usage_refresh_jobs (account_id, created_at, job_id);
CREATE INDEX usage_refresh_jobs_by_organization ON usage_refresh_jobs (organization_id, finished_at);

-- The number of requests that the run under way began with.
ALTER TABLE usage_refreshes ADD COLUMN claimed BIGINT NOT NULL DEFAULT 0;
