ALTER TABLE uploads ADD COLUMN kind TEXT NOT NULL DEFAULT 'SWAGGER_FILE';
ALTER TABLE uploads ADD COLUMN workspace_id TEXT NOT NULL DEFAULT '';
ALTER TABLE uploads ADD COLUMN fatal_error TEXT;
ALTER TABLE uploads ADD COLUMN deleted BIGINT NOT NULL DEFAULT 0;

ALTER TABLE upload_operations ADD COLUMN group_id TEXT NOT NULL DEFAULT '';

CREATE TABLE upload_groups (
    account_id BIGINT NOT NULL,
    upload_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    name TEXT NOT NULL,
    errors TEXT NOT NULL,
    collection_id BIGINT,
    PRIMARY KEY (account_id, upload_id, group_id)
);

ALTER TABLE import_jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'import';
ALTER TABLE import_jobs ADD COLUMN input TEXT NOT NULL DEFAULT '';

CREATE TABLE postman_credentials (
    account_id BIGINT NOT NULL,
    workspace_id TEXT NOT NULL,
    api_key TEXT NOT NULL,
    updated_by BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id)
);

CREATE TABLE import_specifications (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    updated_by BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, collection_id)
);

CREATE INDEX uploads_collection ON uploads (account_id, collection_id);
CREATE INDEX upload_groups_collection ON upload_groups (account_id, collection_id);
CREATE INDEX import_jobs_collection ON import_jobs (account_id, collection_id);
