UPDATE organizations SET sub_domain = lower(replace(public_id, '_', '-')) WHERE sub_domain IS NULL;

CREATE UNIQUE INDEX organizations_by_sub_domain ON organizations (sub_domain);

-- A customer workspace is an account that belongs to the account of its vendor.
ALTER TABLE accounts ADD COLUMN vendor_account_id BIGINT;
ALTER TABLE accounts ADD COLUMN external_id TEXT;
ALTER TABLE accounts ADD COLUMN notification_email TEXT;
ALTER TABLE accounts ADD COLUMN origin_url TEXT;
ALTER TABLE accounts ADD COLUMN state TEXT NOT NULL DEFAULT 'ACTIVE';
ALTER TABLE accounts ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
-- Raised by every change of roles or members: a row lock that makes such changes of one account queue.
ALTER TABLE accounts ADD COLUMN access_version BIGINT NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX accounts_by_external_id ON accounts (vendor_account_id, external_id);

CREATE TABLE account_settings (
    account_id BIGINT PRIMARY KEY REFERENCES accounts (account_id),
    private_cidrs TEXT NOT NULL,
    partner_ips TEXT NOT NULL
);

CREATE TABLE custom_roles (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    -- The name in upper case: names differ in more than case.
    name_key TEXT NOT NULL,
    name TEXT NOT NULL,
    base_role TEXT NOT NULL,
    collection_ids TEXT NOT NULL,
    features TEXT NOT NULL,
    threat_protection BIGINT NOT NULL,
    is_default BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, name_key)
);

CREATE UNIQUE INDEX custom_roles_default ON custom_roles (account_id) WHERE is_default = 1;

CREATE TABLE invitations (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    email_key TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    code_digest TEXT NOT NULL UNIQUE,
    issuer_id BIGINT NOT NULL,
    role TEXT,
    scope_roles TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, email_key)
);

-- One token a user and origin: an administrator's and one the user asked for do not block each other.
CREATE TABLE password_resets (
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    origin TEXT NOT NULL,
    token_digest TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, origin)
);

CREATE TABLE push_devices (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    endpoint_digest TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    p256dh TEXT NOT NULL,
    auth TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id, endpoint_digest)
);

-- Notifications that a push service has not taken yet.
CREATE TABLE push_messages (
    account_id BIGINT NOT NULL,
    message_id TEXT NOT NULL,
    user_id BIGINT NOT NULL,
    endpoint_digest TEXT NOT NULL,
    payload TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, message_id, user_id, endpoint_digest)
);

CREATE INDEX push_messages_due ON push_messages (next_attempt_at);

CREATE TABLE installation_keys (
    name TEXT PRIMARY KEY,
    public_key BLOB NOT NULL,
    private_key BLOB NOT NULL,
    created_at BIGINT NOT NULL
);

-- People known by a provider, by its name for them and never by address.
CREATE TABLE user_identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);

-- Logins that a provider has not answered yet.
CREATE TABLE oidc_logins (
    state_digest TEXT PRIMARY KEY,
    nonce TEXT NOT NULL,
    verifier BLOB NOT NULL,
    invitation_digest TEXT NOT NULL,
    redirect_path TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

ALTER TABLE sessions ADD COLUMN id_token BLOB;
