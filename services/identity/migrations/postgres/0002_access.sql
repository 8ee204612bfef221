UPDATE organizations SET sub_domain = lower(replace(public_id, '_', '-')) WHERE sub_domain IS NULL;

CREATE UNIQUE INDEX organizations_by_sub_domain ON organizations (sub_domain);

-- A customer workspace is an account that belongs to the account of its vendor.
ALTER TABLE accounts ADD COLUMN vendor_account_id BIGINT;
ALTER TABLE accounts ADD COLUMN external_id TEXT COLLATE "C";
ALTER TABLE accounts ADD COLUMN notification_email TEXT COLLATE "C";
ALTER TABLE accounts ADD COLUMN origin_url TEXT COLLATE "C";
ALTER TABLE accounts ADD COLUMN state TEXT COLLATE "C" NOT NULL DEFAULT 'ACTIVE';
ALTER TABLE accounts ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
-- Raised by every change of roles or members: a row lock that makes such changes of one account queue.
ALTER TABLE accounts ADD COLUMN access_version BIGINT NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX accounts_by_external_id ON accounts (vendor_account_id, external_id);

CREATE TABLE account_settings (
    account_id BIGINT PRIMARY KEY REFERENCES accounts (account_id),
    private_cidrs TEXT COLLATE "C" NOT NULL,
    partner_ips TEXT COLLATE "C" NOT NULL
);

CREATE TABLE custom_roles (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    -- The name in upper case: names differ in more than case.
    name_key TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    base_role TEXT COLLATE "C" NOT NULL,
    collection_ids TEXT COLLATE "C" NOT NULL,
    features TEXT COLLATE "C" NOT NULL,
    threat_protection BIGINT NOT NULL,
    is_default BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, name_key)
);

CREATE UNIQUE INDEX custom_roles_default ON custom_roles (account_id) WHERE is_default = 1;

CREATE TABLE invitations (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    email_key TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    code_digest TEXT COLLATE "C" NOT NULL UNIQUE,
    issuer_id BIGINT NOT NULL,
    role TEXT COLLATE "C",
    scope_roles TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, email_key)
);

-- One token a user and origin: an administrator's and one the user asked for do not block each other.
CREATE TABLE password_resets (
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    origin TEXT COLLATE "C" NOT NULL,
    token_digest TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, origin)
);

CREATE TABLE push_devices (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    endpoint_digest TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    p256dh TEXT COLLATE "C" NOT NULL,
    auth TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id, endpoint_digest)
);

-- Notifications that a push service has not taken yet.
CREATE TABLE push_messages (
    account_id BIGINT NOT NULL,
    message_id TEXT COLLATE "C" NOT NULL,
    user_id BIGINT NOT NULL,
    endpoint_digest TEXT COLLATE "C" NOT NULL,
    payload TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, message_id, user_id, endpoint_digest)
);

CREATE INDEX push_messages_due ON push_messages (next_attempt_at);

CREATE TABLE installation_keys (
    name TEXT COLLATE "C" PRIMARY KEY,
    public_key BYTEA NOT NULL,
    private_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- People known by a provider, by its name for them and never by address.
CREATE TABLE user_identities (
    issuer TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);

-- Logins that a provider has not answered yet.
CREATE TABLE oidc_logins (
    state_digest TEXT COLLATE "C" PRIMARY KEY,
    nonce TEXT COLLATE "C" NOT NULL,
    verifier BYTEA NOT NULL,
    invitation_digest TEXT COLLATE "C" NOT NULL,
    redirect_path TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

ALTER TABLE sessions ADD COLUMN id_token BYTEA;
