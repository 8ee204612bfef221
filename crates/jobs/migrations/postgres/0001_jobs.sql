-- Durable work. On SQLite one table serves every service of the file, on Postgres each schema has its own.
CREATE TABLE jobs (
    service TEXT NOT NULL,
    account_id BIGINT NOT NULL,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- JSON, in the words of the kind.
    arguments TEXT NOT NULL,
    -- 1 when the arguments are sealed, and forgotten at the end.
    sealed BIGINT NOT NULL DEFAULT 0,
    -- Who asked for it, and always reads it; 0 for what the installation does by itself.
    user_id BIGINT NOT NULL DEFAULT 0,
    -- What it is about, such as an organization or a collection.
    subject TEXT NOT NULL,
    -- Null when it is about none; 1 in `restricted` then hides it from all who do not see every collection.
    collection_id BIGINT,
    restricted BIGINT NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    -- Kind and subject while it is active; one job of a name is active at a time.
    active_name TEXT,
    -- 1 when it was asked for again while it ran: it then runs once more.
    asked_again BIGINT NOT NULL DEFAULT 0,
    -- The write that made it; that write makes no second one while this is listed.
    write_key TEXT,
    -- JSON: where the next step begins; null at the start.
    cursor TEXT NOT NULL DEFAULT 'null',
    done_items BIGINT NOT NULL DEFAULT 0,
    bytes_done BIGINT NOT NULL DEFAULT 0,
    bytes_total BIGINT NOT NULL DEFAULT 0,
    -- JSON, at its end.
    outcome TEXT NOT NULL DEFAULT 'null',
    error TEXT,
    -- What a worker must have to do it, such as a directory of files; empty when any can.
    needs TEXT NOT NULL DEFAULT '',
    -- Attempts since the last step, with the one under way.
    attempts BIGINT NOT NULL DEFAULT 0,
    lease_owner TEXT NOT NULL DEFAULT '',
    -- When the lease of a worker ends, or the next attempt is due.
    due_at BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (service, account_id, job_id)
);
CREATE UNIQUE INDEX jobs_active ON jobs (service, account_id, active_name);
CREATE UNIQUE INDEX jobs_written ON jobs (service, account_id, write_key);
CREATE INDEX jobs_due ON jobs (service, due_at) WHERE active_name IS NOT NULL;
CREATE INDEX jobs_leased ON jobs (service, account_id) WHERE lease_owner <> '';
CREATE INDEX jobs_by_time ON jobs (service, account_id, created_at, job_id);
CREATE INDEX jobs_by_subject ON jobs (service, subject, created_at);
