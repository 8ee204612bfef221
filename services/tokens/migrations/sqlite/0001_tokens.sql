-- API keys, Katapult's organization tokens, Workato's clients and profiles, OAuth2 access tokens, Slack webhooks, and what
-- the edge decides by.
--
-- Lists are JSON arrays in TEXT, flags are 0 or 1. Secrets stand as SHA-256 in lower-case hex, HMAC secrets sealed.
--
-- `version` is the change feed: each transaction that changes rows of a table with that column takes the next number of
-- the sequence 'change' first and writes it into each row. The sequence's row is locked until the commit, so numbers
-- become visible in their order, and `WHERE version > $seen ORDER BY version` misses nothing. A deletion keeps its row
-- with `deleted` = 1 and without digests.

-- Sequences of ids, and the change feed.
CREATE TABLE token_sequences (
    name TEXT PRIMARY KEY,
    next BIGINT NOT NULL
);
INSERT INTO token_sequences (name, next) VALUES ('api_key', 1), ('change', 1), ('api_client', 1), ('api_profile', 1);

CREATE TABLE api_keys (
    account_id BIGINT NOT NULL,
    key_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    username TEXT NOT NULL,
    utility TEXT NOT NULL,
    key_digest TEXT NOT NULL UNIQUE,
    -- The first and last characters, to be shown.
    key_start TEXT NOT NULL,
    key_end TEXT NOT NULL,
    -- The secret before the last rotation, which works until then (Unix seconds).
    previous_digest TEXT,
    previous_until BIGINT,
    -- Unix seconds from which on it is refused; null means never.
    expires_at BIGINT,
    -- Late by up to a minute; 0 means never.
    last_used_at BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    -- The write that made the key, and the one that rotated it last: a repeat of either makes nothing new.
    write_id TEXT NOT NULL,
    rotation_write_id TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (account_id, key_id),
    UNIQUE (account_id, write_id)
);
CREATE UNIQUE INDEX api_keys_by_previous ON api_keys (previous_digest);

-- An organization token. The secret is only known by its digest; a regeneration replaces it in one statement.
CREATE TABLE organization_tokens (
    -- UUID of the owning organization.
    organization_id TEXT NOT NULL,
    -- The account in which it was made and acts. 0: the first account of its organization.
    account_id BIGINT NOT NULL DEFAULT 0,
    -- Public id, `tok_` and 16 letters or digits; unique in the installation.
    token_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    -- Addresses and ranges that may use it; empty means every one.
    networks TEXT NOT NULL,
    -- Unix seconds from which on it is refused; null means never.
    expires_at BIGINT,
    -- Requests a minute; null means the configured default.
    rate_limit BIGINT,
    secret_digest TEXT UNIQUE,
    -- `[{"key","value"}]` as the client wrote them.
    annotations TEXT NOT NULL,
    -- Unix seconds.
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- The write that made it, and the one that made its secret: a repeat of either makes nothing new.
    write_id TEXT NOT NULL,
    secret_write_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    deleted BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, token_id),
    UNIQUE (organization_id, write_id)
);
CREATE INDEX organization_tokens_by_version ON organization_tokens (version);

-- A client: who calls the APIs. Clients of the first generation (`is_legacy` = 1) only group profiles, whose settings
-- stand on the profile. Clients of the second generation carry the settings of all their profiles (there called keys).
CREATE TABLE api_clients (
    account_id BIGINT NOT NULL,
    -- Unique in the installation.
    client_id BIGINT NOT NULL UNIQUE,
    is_legacy BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    project_id BIGINT,
    api_portal_id BIGINT,
    email TEXT,
    api_policy_id BIGINT,
    -- The settings, from here to `allowed_issuers`, as on the profile. They count when `is_legacy` = 0.
    -- `token`, `jwt`, `oauth2` or `oidc`; empty on a legacy client.
    auth_type TEXT NOT NULL,
    -- JSON array of collection ids that its profiles may call.
    collection_ids TEXT NOT NULL,
    -- 1: preflight requests for the collections pass without a credential.
    allow_preflight BIGINT NOT NULL DEFAULT 0,
    -- `hmac` or `rsa`.
    jwt_method TEXT,
    -- HMAC secret or RSA public key, sealed for the place `api-client/<client_id>`.
    jwt_secret BLOB,
    oidc_issuer TEXT,
    oidc_jwks_uri TEXT,
    access_profile_claim TEXT,
    required_claims TEXT NOT NULL,
    allowed_issuers TEXT NOT NULL,
    mtls_enabled BIGINT,
    validation_formula TEXT,
    cert_bundle_ids TEXT,
    -- Unix milliseconds.
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    write_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    deleted BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, client_id),
    UNIQUE (account_id, write_id)
);
CREATE INDEX api_clients_by_version ON api_clients (version);

-- A profile: one credential of a client. An access profile of the first generation and an API key of the second are the
-- same thing.
CREATE TABLE api_profiles (
    account_id BIGINT NOT NULL,
    -- Unique in the installation; the id of the access profile and of the API key.
    profile_id BIGINT NOT NULL UNIQUE,
    client_id BIGINT NOT NULL,
    -- 1 for an access profile of the first generation: the settings are those below. 0: they are those of the client,
    -- and the columns from `collection_ids` to `allowed_issuers` are empty; `auth_type` is the client's.
    is_legacy BIGINT NOT NULL,
    name TEXT NOT NULL,
    auth_type TEXT NOT NULL,
    active BIGINT NOT NULL,
    -- Unix milliseconds; null while it is not active.
    active_since BIGINT,
    -- JSON arrays of addresses and ranges; host bits may be set. Deny wins; an empty allow list allows every address.
    ip_allow_list TEXT NOT NULL,
    ip_deny_list TEXT NOT NULL,
    collection_ids TEXT NOT NULL,
    allow_preflight BIGINT NOT NULL DEFAULT 0,
    jwt_method TEXT,
    -- Sealed for the place `api-profile/<profile_id>`.
    jwt_secret BLOB,
    oidc_issuer TEXT,
    oidc_jwks_uri TEXT,
    access_profile_claim TEXT,
    required_claims TEXT NOT NULL,
    allowed_issuers TEXT NOT NULL,
    -- `token`: digest of the secret. `jwt`, `oidc`: digest of the key that a claim of the caller's token carries, which
    -- finds the profile. `oauth2`: digest of the client secret.
    secret_digest TEXT,
    -- How the secret of `secret_digest` ends, for who has to tell several apart.
    secret_end TEXT NOT NULL DEFAULT '',
    -- `oauth2` only, in clear.
    oauth_client_id TEXT UNIQUE,
    -- Access tokens of OAuth2 hold only while they carry this number; each disable, refresh and change of `auth_type`
    -- adds one.
    grant_version BIGINT NOT NULL,
    -- Unix milliseconds.
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- The write that made it, and the one that made its secret.
    write_id TEXT NOT NULL,
    secret_write_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    deleted BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, profile_id),
    UNIQUE (account_id, write_id)
);
CREATE INDEX api_profiles_by_version ON api_profiles (version);
CREATE INDEX api_profiles_by_client ON api_profiles (account_id, client_id);
CREATE UNIQUE INDEX api_profiles_by_digest ON api_profiles (secret_digest);

-- Access tokens of the OAuth2 token endpoint. One counts while it has not expired and its profile is active, not
-- deleted, and still has its `grant_version`. Expired rows are removed.
CREATE TABLE access_tokens (
    account_id BIGINT NOT NULL,
    token_digest TEXT NOT NULL UNIQUE,
    profile_id BIGINT NOT NULL,
    grant_version BIGINT NOT NULL,
    -- Unix seconds.
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account_id, token_digest)
);
CREATE INDEX access_tokens_by_version ON access_tokens (version);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

-- Where messages for an account go. The address is a secret: sealed for the place `slack-webhook/<webhook_id>`.
CREATE TABLE slack_webhooks (
    account_id BIGINT NOT NULL,
    -- From the sequence of API keys, since both are listed together.
    webhook_id BIGINT NOT NULL UNIQUE,
    user_id BIGINT NOT NULL,
    username TEXT NOT NULL,
    name TEXT NOT NULL,
    url BLOB NOT NULL,
    url_digest TEXT NOT NULL,
    -- Host and the last characters, to be shown.
    url_shown TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, webhook_id),
    UNIQUE (account_id, url_digest)
);

-- Messages that a webhook took, or did not: a repeated message is not posted again. Old rows are forgotten.
CREATE TABLE slack_messages (
    account_id BIGINT NOT NULL,
    message_id TEXT NOT NULL,
    webhook_id BIGINT NOT NULL,
    -- Unix seconds.
    posted_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, message_id, webhook_id)
);

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
