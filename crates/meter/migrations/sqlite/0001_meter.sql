-- Changes of counts, written by triggers in the transaction of what is counted; a row is gone when it is in its count.
CREATE TABLE meter_deltas (
    delta_id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL,
    feature TEXT NOT NULL,
    delta BIGINT NOT NULL
);
CREATE INDEX meter_deltas_by_account ON meter_deltas (account_id);

-- What accounts use of each feature. `version` grows with every change, `recounts` with every recount.
CREATE TABLE meter_counts (
    account_id BIGINT NOT NULL,
    feature TEXT NOT NULL,
    count BIGINT NOT NULL,
    version BIGINT NOT NULL,
    recounts BIGINT NOT NULL,
    PRIMARY KEY (account_id, feature)
);
