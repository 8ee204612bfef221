CREATE TABLE api_keys (
    account_id BIGINT NOT NULL,
    key_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    username TEXT NOT NULL,
    utility TEXT NOT NULL,
    key_digest TEXT NOT NULL UNIQUE,
    key_start TEXT NOT NULL,
    key_end TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- The write that made the key: a repeat of it makes no second one.
    write_id TEXT NOT NULL,
    PRIMARY KEY (account_id, key_id),
    UNIQUE (account_id, write_id)
);

CREATE TABLE token_sequences (
    name TEXT PRIMARY KEY,
    next BIGINT NOT NULL
);

INSERT INTO token_sequences (name, next) VALUES ('api_key', 1);
