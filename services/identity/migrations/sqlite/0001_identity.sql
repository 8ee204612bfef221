CREATE TABLE organizations (
    organization_id TEXT PRIMARY KEY,
    public_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    sub_domain TEXT,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE accounts (
    account_id BIGINT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (organization_id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX accounts_by_organization ON accounts (organization_id);

-- Users span accounts; what a user is in an account stands in memberships.
CREATE TABLE users (
    user_id BIGINT PRIMARY KEY,
    login TEXT NOT NULL,
    login_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    last_login_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE memberships (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    role TEXT,
    scope_roles TEXT NOT NULL,
    collection_ids TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id)
);

CREATE INDEX memberships_by_user ON memberships (user_id);

CREATE TABLE sessions (
    session_digest TEXT PRIMARY KEY,
    access_digest TEXT NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE login_failures (
    subject TEXT PRIMARY KEY,
    window_start BIGINT NOT NULL,
    failures BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    key_id TEXT PRIMARY KEY,
    public_key BLOB NOT NULL,
    private_key BLOB NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE identity_sequences (
    name TEXT PRIMARY KEY,
    next BIGINT NOT NULL
);

INSERT INTO identity_sequences (name, next) VALUES ('account', 1000000), ('user', 1);

-- Steps of the first start that are not done yet.
CREATE TABLE first_start (
    step TEXT PRIMARY KEY,
    account_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL
);
