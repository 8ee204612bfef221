ALTER TABLE endpoints ADD COLUMN discovered_at BIGINT;
UPDATE endpoints SET discovered_at = cast(json_extract(facts, '$.discovered') AS BIGINT) WHERE proven = 1;

-- One row for each endpoint that callers see, the raw URLs of one effective URL together. The version orders all
-- changes of the installation; an endpoint's first version is its id. A removed endpoint keeps its row, so that readers
-- of the changes learn of it.
CREATE TABLE api_endpoints (
    account_id BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    url_key TEXT NOT NULL,
    endpoint_id BIGINT NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    discovered_at BIGINT NOT NULL,
    active BIGINT NOT NULL DEFAULT 1,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    removed BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, collection_id, url_key)
);
INSERT INTO api_endpoints
    (account_id, collection_id, url_key, endpoint_id, method, url, discovered_at, updated_at, version)
SELECT account_id, collection_id, url_key, place, method, url, discovered_at, discovered_at, place
FROM (
    SELECT account_id, collection_id, url_key, min(method) AS method, min(url) AS url,
        coalesce(min(discovered_at), min(first_seen)) AS discovered_at,
        row_number() OVER (ORDER BY account_id, collection_id, url_key) AS place
    FROM endpoints WHERE proven = 1 GROUP BY account_id, collection_id, url_key
) AS seen;
CREATE UNIQUE INDEX api_endpoints_version ON api_endpoints (version);
CREATE UNIQUE INDEX api_endpoints_id ON api_endpoints (account_id, endpoint_id);
CREATE INDEX api_endpoints_discovered ON api_endpoints (account_id, discovered_at);
INSERT INTO inventory_sequences (name, next_id)
SELECT 'api_endpoint', coalesce(max(version), 0) + 1 FROM api_endpoints;
