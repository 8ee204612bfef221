-- Enforcement at the edge.

-- One row for each process that decides, with the number of the sequence 'change' up to which it has applied the changes
-- of profiles. Whoever changes a profile answers when every row has come that far, or when a process that has not would
-- refuse by itself; then it removes that row.
CREATE TABLE edge_replicas (
    replica_id TEXT PRIMARY KEY,
    applied BIGINT NOT NULL
);

-- What was asked for at the edge and is in no inventory. Account 0 stands for hosts that belong to nobody.
CREATE TABLE edge_shadow_endpoints (
    account_id BIGINT NOT NULL,
    host TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    calls BIGINT NOT NULL,
    -- Unix seconds.
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (account_id, host, method, path)
);
