CREATE TABLE organizations (
    organization_id TEXT COLLATE "C" PRIMARY KEY,
    public_id TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    sub_domain TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE accounts (
    account_id BIGINT PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (organization_id),
    name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX accounts_by_organization ON accounts (organization_id);

-- Users span accounts; what a user is in an account stands in memberships.
CREATE TABLE users (
    user_id BIGINT PRIMARY KEY,
    login TEXT COLLATE "C" NOT NULL,
    login_key TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    password_hash TEXT COLLATE "C" NOT NULL,
    last_login_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE memberships (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    role TEXT COLLATE "C",
    scope_roles TEXT COLLATE "C" NOT NULL,
    collection_ids TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id)
);

CREATE INDEX memberships_by_user ON memberships (user_id);

CREATE TABLE sessions (
    session_digest TEXT COLLATE "C" PRIMARY KEY,
    access_digest TEXT COLLATE "C" NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE login_failures (
    subject TEXT COLLATE "C" PRIMARY KEY,
    window_start BIGINT NOT NULL,
    failures BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    key_id TEXT COLLATE "C" PRIMARY KEY,
    public_key BYTEA NOT NULL,
    private_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE identity_sequences (
    name TEXT COLLATE "C" PRIMARY KEY,
    next BIGINT NOT NULL
);

INSERT INTO identity_sequences (name, next) VALUES ('account', 1000000), ('user', 1);

-- Steps of the first start that are not done yet.
CREATE TABLE first_start (
    step TEXT COLLATE "C" PRIMARY KEY,
    account_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL
);
