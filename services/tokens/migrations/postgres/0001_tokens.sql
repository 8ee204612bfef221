CREATE TABLE api_keys (
    account_id BIGINT NOT NULL,
    key_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    username TEXT COLLATE "C" NOT NULL,
    utility TEXT COLLATE "C" NOT NULL,
    key_digest TEXT COLLATE "C" NOT NULL UNIQUE,
    key_start TEXT COLLATE "C" NOT NULL,
    key_end TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    -- The write that made the key: a repeat of it makes no second one.
    write_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, key_id),
    UNIQUE (account_id, write_id)
);

CREATE TABLE token_sequences (
    name TEXT COLLATE "C" PRIMARY KEY,
    next BIGINT NOT NULL
);

INSERT INTO token_sequences (name, next) VALUES ('api_key', 1);
