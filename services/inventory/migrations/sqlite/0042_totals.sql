-- The newest record of a collection, the number of its endpoints and their URLs are read from these alone.
CREATE INDEX endpoints_last_seen ON endpoints (account_id, collection_id, last_seen) WHERE proven = 1;
CREATE INDEX api_endpoints_shown ON api_endpoints (account_id, collection_id, discovered_at, url, method)
    WHERE removed = 0;
