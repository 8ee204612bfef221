CREATE TABLE uploads (
    account_id BIGINT NOT NULL,
    upload_id TEXT NOT NULL,
    status TEXT NOT NULL,
    collection_id BIGINT,
    collection_name TEXT NOT NULL,
    total BIGINT NOT NULL,
    clean BIGINT NOT NULL,
    parsed_with_errors BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    errors TEXT NOT NULL,
    ingested TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, upload_id)
);

CREATE TABLE upload_operations (
    account_id BIGINT NOT NULL,
    upload_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    url TEXT NOT NULL,
    method TEXT NOT NULL,
    importable BIGINT NOT NULL,
    record TEXT,
    errors TEXT NOT NULL,
    PRIMARY KEY (account_id, upload_id, position)
);

CREATE TABLE import_jobs (
    account_id BIGINT NOT NULL,
    job_id TEXT NOT NULL,
    user_id BIGINT NOT NULL,
    upload_id TEXT NOT NULL,
    state TEXT NOT NULL,
    format TEXT NOT NULL,
    collection_id BIGINT NOT NULL,
    collection_name TEXT NOT NULL,
    path_only BIGINT NOT NULL,
    spool_id TEXT NOT NULL,
    total_items BIGINT NOT NULL,
    imported_items BIGINT NOT NULL,
    refused_items BIGINT NOT NULL,
    refusals TEXT NOT NULL,
    bytes_done BIGINT NOT NULL,
    bytes_total BIGINT NOT NULL,
    error TEXT,
    chunks_appended BIGINT NOT NULL,
    positions TEXT NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, job_id)
);

CREATE UNIQUE INDEX import_jobs_upload ON import_jobs (account_id, upload_id);
CREATE INDEX import_jobs_due ON import_jobs (spool_id, state, lease_until);
