-- Ids are unique in the whole installation, so the sequence belongs to no account.
CREATE TABLE inventory_sequences (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    next_id BIGINT NOT NULL
);
INSERT INTO inventory_sequences (name, next_id) VALUES ('collection', 1);

-- A deleted collection keeps its row without names: records still in the log for it are recognised and dropped.
CREATE TABLE collections (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C",
    description TEXT,
    created_at BIGINT NOT NULL,
    host_name TEXT,
    host_key TEXT COLLATE "C",
    kind TEXT,
    tags TEXT NOT NULL DEFAULT '[]',
    access_type TEXT,
    redacted BIGINT NOT NULL DEFAULT 0,
    deactivated BIGINT NOT NULL DEFAULT 0,
    out_of_testing_scope BIGINT NOT NULL DEFAULT 0,
    automated BIGINT NOT NULL DEFAULT 0,
    endpoint_count BIGINT NOT NULL DEFAULT 0,
    ingest_version BIGINT NOT NULL DEFAULT 0,
    write_id TEXT,
    deleted_at BIGINT,
    PRIMARY KEY (account_id, collection_id)
);
CREATE UNIQUE INDEX collections_name ON collections (account_id, name_key);
CREATE UNIQUE INDEX collections_host ON collections (account_id, host_key);

-- One row for each raw URL and method; the keys are digests, because URLs outgrow what an index takes.
CREATE TABLE endpoints (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    endpoint_key TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    raw_url TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    url_key TEXT COLLATE "C" NOT NULL,
    proven BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    facts TEXT NOT NULL,
    bodies TEXT NOT NULL,
    description TEXT,
    described_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, collection_id, endpoint_key)
);
CREATE INDEX endpoints_url ON endpoints (account_id, collection_id, url_key);

CREATE TABLE parameters (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    endpoint_key TEXT COLLATE "C" NOT NULL,
    parameter_key TEXT COLLATE "C" NOT NULL,
    response_code BIGINT NOT NULL,
    is_header BIGINT NOT NULL,
    is_url_param BIGINT NOT NULL,
    is_query_param BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    sub_type TEXT COLLATE "C" NOT NULL,
    sensitive BIGINT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (account_id, collection_id, endpoint_key, parameter_key)
);
CREATE INDEX parameters_sensitive ON parameters (account_id, collection_id) WHERE sensitive = 1;
CREATE INDEX parameters_sub_type ON parameters (account_id, collection_id, sub_type);

CREATE TABLE samples (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    endpoint_key TEXT COLLATE "C" NOT NULL,
    sample_key TEXT COLLATE "C" NOT NULL,
    time BIGINT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (account_id, collection_id, endpoint_key, sample_key)
);

-- Progress in the log, which all accounts share.
CREATE TABLE ingest_positions (
    partition_id BIGINT NOT NULL PRIMARY KEY,
    next_offset BIGINT NOT NULL
);

CREATE TABLE inventory_jobs (
    account_id BIGINT NOT NULL,
    job_id TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    collection_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, job_id)
);
