-- The newest record of a collection and the number of its endpoints are read from these alone. A URL may be longer than
-- an entry of an index.
CREATE INDEX endpoints_last_seen ON endpoints (account_id, collection_id, last_seen) WHERE proven = 1;
CREATE INDEX api_endpoints_shown ON api_endpoints (account_id, collection_id, discovered_at) WHERE removed = 0;
