-- Files and workspaces that somebody gave to be imported. Their work is a row of `jobs`, the engine's table.
CREATE TABLE uploads (
    account_id BIGINT NOT NULL,
    upload_id TEXT NOT NULL,
    -- Who uploaded it; 0 when that is not known: only whoever sees every collection reads it then.
    user_id BIGINT NOT NULL DEFAULT 0,
    kind TEXT NOT NULL DEFAULT 'SWAGGER_FILE',
    status TEXT NOT NULL,
    -- Of Postman; empty for files.
    workspace_id TEXT NOT NULL DEFAULT '',
    collection_id BIGINT,
    collection_name TEXT NOT NULL,
    -- Operations found, and how they were read.
    total BIGINT NOT NULL,
    clean BIGINT NOT NULL,
    parsed_with_errors BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    -- JSON array.
    errors TEXT NOT NULL,
    -- `NONE`, `SUCCESSFUL` (operations without errors), or `ALL`.
    ingested TEXT NOT NULL,
    -- Why nothing of it could be read.
    fatal_error TEXT,
    -- 1: it is listed no more, and its collections keep what it brought.
    deleted BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, upload_id)
);
CREATE INDEX uploads_collection ON uploads (account_id, collection_id);

-- Parts of an upload that become a collection each, such as the collections of a workspace.
CREATE TABLE upload_groups (
    account_id BIGINT NOT NULL,
    upload_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    name TEXT NOT NULL,
    errors TEXT NOT NULL,
    collection_id BIGINT,
    PRIMARY KEY (account_id, upload_id, group_id)
);
CREATE INDEX upload_groups_collection ON upload_groups (account_id, collection_id);

-- What was read of an upload, to be shown and chosen from before it is imported.
CREATE TABLE upload_operations (
    account_id BIGINT NOT NULL,
    upload_id TEXT NOT NULL,
    -- In the order of the file, from 0.
    position BIGINT NOT NULL,
    -- Empty when the upload has no groups.
    group_id TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    url TEXT NOT NULL,
    method TEXT NOT NULL,
    importable BIGINT NOT NULL,
    -- JSON: what is appended to the log; null when it cannot be imported.
    record TEXT,
    errors TEXT NOT NULL,
    PRIMARY KEY (account_id, upload_id, position)
);

-- The Postman key of an account, sealed.
CREATE TABLE postman_credentials (
    account_id BIGINT NOT NULL,
    workspace_id TEXT NOT NULL,
    api_key TEXT NOT NULL,
    updated_by BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id)
);

-- The document that a collection was imported from last, as it was sent.
CREATE TABLE import_specifications (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    updated_by BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, collection_id)
);
