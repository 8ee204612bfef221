-- Ids are unique in the whole installation, so a sequence belongs to no account.
CREATE TABLE inventory_sequences (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    next_id BIGINT NOT NULL
);
INSERT INTO inventory_sequences (name, next_id) VALUES ('collection', 1), ('api_endpoint', 1), ('demerged', 1);

-- A deleted collection keeps its row without names: records still in the log for it are recognized and dropped.
CREATE TABLE collections (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C",
    description TEXT,
    created_at BIGINT NOT NULL,
    -- The user that made it; nothing for those of hosts and of the installation.
    made_by BIGINT,
    host_name TEXT,
    host_key TEXT COLLATE "C",
    kind TEXT,
    -- Of a group: JSON of the conditions that its members meet.
    conditions TEXT,
    -- Of a group: 0 its readers' part only, 1 its conditions are an administrator's, 2 shared by an administrator.
    sharing BIGINT NOT NULL DEFAULT 0,
    tags TEXT NOT NULL DEFAULT '[]',
    access_type TEXT,
    redacted BIGINT NOT NULL DEFAULT 0,
    -- Whether the values that were stored before the redaction are gone.
    values_removed BIGINT NOT NULL DEFAULT 1,
    deactivated BIGINT NOT NULL DEFAULT 0,
    out_of_testing_scope BIGINT NOT NULL DEFAULT 0,
    automated BIGINT NOT NULL DEFAULT 0,
    endpoint_count BIGINT NOT NULL DEFAULT 0,
    -- Records that came while it was deactivated.
    dropped_records BIGINT NOT NULL DEFAULT 0,
    ingest_version BIGINT NOT NULL DEFAULT 0,
    -- The version of the rules of templates that everything in it follows: below the program's own, it is still to be
    -- brought to them; -1 while that is done.
    rules_version BIGINT NOT NULL DEFAULT 0,
    write_id TEXT,
    deleted_at BIGINT,
    PRIMARY KEY (account_id, collection_id)
);
CREATE UNIQUE INDEX collections_name ON collections (account_id, name_key);
CREATE UNIQUE INDEX collections_host ON collections (account_id, host_key);

-- Which endpoints a group shows, by effective URL.
CREATE TABLE group_members (
    account_id BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    url_key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, group_id, collection_id, url_key)
);
CREATE INDEX group_members_endpoint ON group_members (account_id, collection_id, url_key);

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
    discovered_at BIGINT,
    facts TEXT NOT NULL,
    bodies TEXT NOT NULL,
    description TEXT,
    described_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, collection_id, endpoint_key)
);
CREATE INDEX endpoints_url ON endpoints (account_id, collection_id, url_key);
-- The newest record of a collection is read from it alone.
CREATE INDEX endpoints_last_seen ON endpoints (account_id, collection_id, last_seen) WHERE proven = 1;

-- One row for each endpoint that callers see, the raw URLs of one effective URL together. The version orders all
-- changes of the installation; an endpoint's first version is its id. A removed endpoint keeps its row, so that readers
-- of the changes learn of it.
CREATE TABLE api_endpoints (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    url_key TEXT COLLATE "C" NOT NULL,
    endpoint_id BIGINT NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    discovered_at BIGINT NOT NULL,
    -- When a tester last called it; 0 for never.
    last_tested BIGINT NOT NULL DEFAULT 0,
    active BIGINT NOT NULL DEFAULT 1,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    removed BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, collection_id, url_key)
);
CREATE UNIQUE INDEX api_endpoints_version ON api_endpoints (version);
CREATE UNIQUE INDEX api_endpoints_id ON api_endpoints (account_id, endpoint_id);
CREATE INDEX api_endpoints_discovered ON api_endpoints (account_id, discovered_at);
-- The number of the endpoints of a collection is read from it alone. A URL may be longer than an entry of an index.
CREATE INDEX api_endpoints_shown ON api_endpoints (account_id, collection_id, discovered_at) WHERE removed = 0;

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
    first_seen BIGINT NOT NULL DEFAULT 0,
    facts TEXT NOT NULL,
    PRIMARY KEY (account_id, collection_id, endpoint_key, parameter_key)
);
CREATE INDEX parameters_sensitive ON parameters (account_id, collection_id) WHERE sensitive = 1;
CREATE INDEX parameters_sub_type ON parameters (account_id, collection_id, sub_type);
CREATE INDEX parameters_first_seen ON parameters (account_id, first_seen);

-- What users said of parameters: sensitive or not, whatever the detectors found.
CREATE TABLE markings (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    marking_key TEXT COLLATE "C" NOT NULL,
    url_key TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    response_code BIGINT NOT NULL,
    is_header BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    sensitive BIGINT NOT NULL,
    marked_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, collection_id, marking_key)
);

-- Kinds of data: those of the account's own making with their definition, and built-in ones that it switched.
CREATE TABLE data_types (
    account_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    built_in BIGINT NOT NULL,
    active BIGINT NOT NULL,
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, name)
);

CREATE TABLE samples (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    endpoint_key TEXT COLLATE "C" NOT NULL,
    sample_key TEXT COLLATE "C" NOT NULL,
    time BIGINT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (account_id, collection_id, endpoint_key, sample_key)
);

-- Calls of one raw URL in one hour since the epoch: by minute, and by address in windows of five minutes.
CREATE TABLE call_stats (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    endpoint_key TEXT COLLATE "C" NOT NULL,
    hour BIGINT NOT NULL,
    minutes TEXT NOT NULL,
    addresses TEXT NOT NULL,
    PRIMARY KEY (account_id, collection_id, endpoint_key, hour)
);
-- Old hours are found without a look at the others.
CREATE INDEX call_stats_hour ON call_stats (hour);
CREATE INDEX call_stats_with_addresses ON call_stats (hour) WHERE addresses <> '{}';

-- Findings of testers, reported by them.
CREATE TABLE issues (
    account_id BIGINT NOT NULL,
    issue_id TEXT COLLATE "C" NOT NULL,
    collection_id BIGINT NOT NULL,
    url_key TEXT COLLATE "C" NOT NULL,
    severity TEXT NOT NULL,
    status TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, issue_id)
);
CREATE INDEX issues_collection ON issues (account_id, collection_id);

-- The specifications that were imported into a collection: of each title the two newest.
CREATE TABLE specifications (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    specification_id TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    version TEXT NOT NULL,
    declared_at BIGINT NOT NULL,
    log_offset BIGINT NOT NULL,
    PRIMARY KEY (account_id, collection_id, specification_id)
);
CREATE TABLE declared_operations (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    specification_id TEXT COLLATE "C" NOT NULL,
    operation_key TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    deprecated BIGINT NOT NULL,
    shape TEXT NOT NULL,
    PRIMARY KEY (account_id, collection_id, specification_id, operation_key)
);

-- What the API platform says of a collection beside its name.
CREATE TABLE platform_collections (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    project_id TEXT,
    version TEXT NOT NULL,
    -- Where the document that it was made from says that it is served.
    url TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, collection_id)
);

-- Progress by log, which all accounts share: offsets of one log mean nothing in another.
CREATE TABLE ingest_cursors (
    source TEXT NOT NULL,
    partition_id BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    -- Grows with every commit of the partition, also when its position stays.
    commits BIGINT NOT NULL DEFAULT 0,
    -- Failed tries to read the batch at next_offset.
    tries BIGINT NOT NULL DEFAULT 0,
    -- What a consumer works on: the process, and the records from work_from up to work_to. A process that ends in order
    -- takes its name away, so a name that stays is that of one that died there.
    work_owner TEXT COLLATE "C",
    work_from BIGINT NOT NULL DEFAULT 0,
    work_to BIGINT NOT NULL DEFAULT 0,
    -- Records at which processes died, how often; they are read one by one.
    suspect_from BIGINT NOT NULL DEFAULT 0,
    suspect_to BIGINT NOT NULL DEFAULT 0,
    deaths BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (source, partition_id)
);

-- Accounts whose records are in the inventory up to an offset behind the position of the partition; lane is the account,
-- 0 for records that name none.
CREATE TABLE ingest_lanes (
    source TEXT COLLATE "C" NOT NULL,
    partition_id BIGINT NOT NULL,
    lane BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (source, partition_id, lane)
);

-- The last record of each producer in each lane of a partition, in a log that may hold a repeated append twice; lane -1
-- for records of all accounts that were read in the order of the partition.
CREATE TABLE ingest_marks (
    source TEXT COLLATE "C" NOT NULL,
    partition_id BIGINT NOT NULL,
    producer_id TEXT COLLATE "C" NOT NULL,
    lane BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    record_index BIGINT NOT NULL,
    -- Unix seconds.
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (source, partition_id, producer_id, lane)
);
CREATE INDEX ingest_marks_seen ON ingest_marks (seen_at);

-- Processes that consume; a count that stands still is that of a process that died.
CREATE TABLE ingest_consumers (
    owner TEXT COLLATE "C" PRIMARY KEY,
    beat BIGINT NOT NULL
);

-- Endpoints that an import may add and has not added yet, so that racing imports keep within a plan together.
CREATE TABLE endpoint_reservations (
    reservation_id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL,
    -- Whose records the reservation waits for.
    account_id BIGINT NOT NULL DEFAULT 0,
    endpoints BIGINT NOT NULL,
    -- Counts until this moment while it is not known where the log ends behind the records…
    until_at BIGINT NOT NULL,
    -- … and then until the inventory has read so far: JSON of partition to offset, in this source.
    source TEXT NOT NULL DEFAULT '',
    positions TEXT NOT NULL DEFAULT ''
);
CREATE INDEX endpoint_reservations_by_organization ON endpoint_reservations (organization_id);

-- Locked by whoever reserves for the organization.
CREATE TABLE endpoint_reservation_locks (
    organization_id TEXT NOT NULL PRIMARY KEY
);

-- What each collection counts for in billing. Groups count nothing: they hold endpoints of others.
CREATE VIEW collection_usage AS
SELECT account_id, collection_id, 'ACTIVE_ENDPOINTS' AS feature,
    CASE WHEN deleted_at IS NULL AND deactivated = 0 AND kind IS NULL AND tags NOT LIKE '%"key_name":"mcp-server"%'
        AND tags NOT LIKE '%"key_name":"gen-ai"%' THEN endpoint_count ELSE 0 END AS used
FROM collections
UNION ALL
SELECT account_id, collection_id, 'MCP_ASSET_COUNT',
    CASE WHEN deleted_at IS NULL AND deactivated = 0 AND kind IS NULL AND tags LIKE '%"key_name":"mcp-server"%'
        AND tags NOT LIKE '%"key_name":"gen-ai"%' THEN endpoint_count ELSE 0 END
FROM collections
UNION ALL
SELECT account_id, collection_id, 'AI_ASSET_COUNT',
    CASE WHEN deleted_at IS NULL AND deactivated = 0 AND kind IS NULL AND tags LIKE '%"key_name":"gen-ai"%'
        AND tags NOT LIKE '%"key_name":"mcp-server"%' THEN endpoint_count ELSE 0 END
FROM collections
UNION ALL
SELECT account_id, collection_id, 'API_COLLECTIONS',
    CASE WHEN deleted_at IS NULL AND collection_id <> 0 THEN 1 ELSE 0 END
FROM collections;

-- Whoever changes a collection changes the counts, in the same transaction.
CREATE FUNCTION meter_collection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_WHEN = 'BEFORE' THEN
        INSERT INTO meter_deltas (account_id, feature, delta)
        SELECT account_id, feature, -used FROM collection_usage
        WHERE account_id = OLD.account_id AND collection_id = OLD.collection_id AND used <> 0;
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END IF;
    INSERT INTO meter_deltas (account_id, feature, delta)
    SELECT account_id, feature, used FROM collection_usage
    WHERE account_id = NEW.account_id AND collection_id = NEW.collection_id AND used <> 0;
    RETURN NULL;
END $$;

CREATE TRIGGER collections_usage_insert AFTER INSERT ON collections FOR EACH ROW EXECUTE FUNCTION meter_collection();

CREATE TRIGGER collections_usage_before BEFORE UPDATE OF endpoint_count, deactivated, deleted_at, kind, tags ON collections
FOR EACH ROW
WHEN (OLD.endpoint_count <> NEW.endpoint_count OR OLD.deactivated <> NEW.deactivated OR OLD.tags <> NEW.tags
    OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) OR (OLD.kind IS NULL) <> (NEW.kind IS NULL))
EXECUTE FUNCTION meter_collection();

CREATE TRIGGER collections_usage_after AFTER UPDATE OF endpoint_count, deactivated, deleted_at, kind, tags ON collections
FOR EACH ROW
WHEN (OLD.endpoint_count <> NEW.endpoint_count OR OLD.deactivated <> NEW.deactivated OR OLD.tags <> NEW.tags
    OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) OR (OLD.kind IS NULL) <> (NEW.kind IS NULL))
EXECUTE FUNCTION meter_collection();

CREATE TRIGGER collections_usage_delete BEFORE DELETE ON collections FOR EACH ROW EXECUTE FUNCTION meter_collection();
