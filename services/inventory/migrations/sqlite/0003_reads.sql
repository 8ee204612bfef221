-- When the parameter was first seen, for the lists of what is new.
ALTER TABLE parameters ADD COLUMN first_seen BIGINT NOT NULL DEFAULT 0;
UPDATE parameters SET first_seen = coalesce(cast(json_extract(facts, '$.firstSeen') AS BIGINT), 0);
CREATE INDEX parameters_first_seen ON parameters (account_id, first_seen);

-- Calls of one raw URL in one hour since the epoch: by minute, and by address in windows of five minutes.
CREATE TABLE call_stats (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    endpoint_key TEXT NOT NULL,
    hour BIGINT NOT NULL,
    minutes TEXT NOT NULL,
    addresses TEXT NOT NULL,
    PRIMARY KEY (account_id, collection_id, endpoint_key, hour)
);

-- What users said of parameters: sensitive or not, whatever the detectors found.
CREATE TABLE sensitive_markings (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    marking_key TEXT NOT NULL,
    url_key TEXT NOT NULL,
    url TEXT NOT NULL,
    method TEXT NOT NULL,
    response_code BIGINT NOT NULL,
    is_header BIGINT NOT NULL,
    name TEXT NOT NULL,
    sensitive BIGINT NOT NULL,
    marked_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, collection_id, marking_key)
);

-- Kinds of data: those of the account's own making with their definition, and built-in ones that it switched.
CREATE TABLE data_types (
    account_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    built_in BIGINT NOT NULL,
    active BIGINT NOT NULL,
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, name)
);

-- The specifications that were imported into a collection: of each title the two newest.
CREATE TABLE specifications (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    specification_id TEXT NOT NULL,
    title TEXT NOT NULL,
    version TEXT NOT NULL,
    declared_at BIGINT NOT NULL,
    log_offset BIGINT NOT NULL,
    PRIMARY KEY (account_id, collection_id, specification_id)
);
CREATE TABLE declared_operations (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    specification_id TEXT NOT NULL,
    operation_key TEXT NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    deprecated BIGINT NOT NULL,
    shape TEXT NOT NULL,
    PRIMARY KEY (account_id, collection_id, specification_id, operation_key)
);

-- Findings of testers, reported by them.
ALTER TABLE api_endpoints ADD COLUMN last_tested BIGINT NOT NULL DEFAULT 0;
CREATE TABLE issues (
    account_id BIGINT NOT NULL,
    issue_id TEXT NOT NULL,
    collection_id BIGINT NOT NULL,
    url_key TEXT NOT NULL,
    severity TEXT NOT NULL,
    status TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, issue_id)
);
CREATE INDEX issues_collection ON issues (account_id, collection_id);

-- What the API platform says of a collection beside its name.
CREATE TABLE platform_collections (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    project_id TEXT,
    version TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, collection_id)
);
