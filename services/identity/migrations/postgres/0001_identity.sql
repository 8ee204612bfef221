-- Sequences of ids and versions. Whoever takes a number holds the row until the commit, so numbers become visible in
-- their order.
CREATE TABLE identity_sequences (
    name TEXT COLLATE "C" PRIMARY KEY,
    next BIGINT NOT NULL
);
INSERT INTO identity_sequences (name, next) VALUES ('account', 1000000), ('user', 1), ('tenant_state', 2);

-- Steps of the first start that are not done yet.
CREATE TABLE first_start (
    step TEXT COLLATE "C" PRIMARY KEY,
    account_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL
);

CREATE TABLE organizations (
    organization_id TEXT COLLATE "C" PRIMARY KEY,
    public_id TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    sub_domain TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL,
    -- The number that its last change of state took from the sequence 'tenant_state'; 0 when it was always open.
    state_version BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX organizations_by_sub_domain ON organizations (sub_domain);
CREATE INDEX organizations_by_state_version ON organizations (state_version);

CREATE TABLE accounts (
    account_id BIGINT PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (organization_id),
    name TEXT COLLATE "C" NOT NULL,
    -- Of a customer workspace, which is an account that belongs to the account of its vendor; the id is the vendor's.
    vendor_account_id BIGINT,
    external_id TEXT COLLATE "C",
    notification_email TEXT COLLATE "C",
    origin_url TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL DEFAULT 'ACTIVE',
    -- As of organizations.
    state_version BIGINT NOT NULL DEFAULT 0,
    -- Raised by every change of roles or members: a row lock that makes such changes of one account queue.
    access_version BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX accounts_by_organization ON accounts (organization_id);
CREATE UNIQUE INDEX accounts_by_external_id ON accounts (vendor_account_id, external_id);
CREATE INDEX accounts_by_state_version ON accounts (state_version);

-- Each open account is one of its organization's; whoever opens or closes one changes the count, in the same transaction.
CREATE FUNCTION meter_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state = 'ACTIVE' AND (TG_OP = 'DELETE' OR NEW.state <> 'ACTIVE') THEN
        INSERT INTO meter_deltas (account_id, feature, delta) VALUES (OLD.account_id, 'ACTIVE_ACCOUNTS', -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state = 'ACTIVE' AND (TG_OP = 'INSERT' OR OLD.state <> 'ACTIVE') THEN
        INSERT INTO meter_deltas (account_id, feature, delta) VALUES (NEW.account_id, 'ACTIVE_ACCOUNTS', 1);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER accounts_usage AFTER INSERT OR UPDATE OF state OR DELETE ON accounts
FOR EACH ROW EXECUTE FUNCTION meter_account();

CREATE TABLE account_settings (
    account_id BIGINT PRIMARY KEY REFERENCES accounts (account_id),
    -- JSON arrays.
    private_cidrs TEXT COLLATE "C" NOT NULL,
    partner_ips TEXT COLLATE "C" NOT NULL
);

-- Users span accounts; what a user is in an account stands in memberships.
CREATE TABLE users (
    user_id BIGINT PRIMARY KEY,
    login TEXT COLLATE "C" NOT NULL,
    -- The login in lower case: logins differ in more than case.
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
    -- JSON object: the role in each product scope.
    scope_roles TEXT COLLATE "C" NOT NULL,
    -- JSON array; null and empty open every collection, unless `is_emptied` is 1.
    collection_ids TEXT COLLATE "C",
    -- 1: every collection of the list was deleted, and the empty list opens none.
    is_emptied BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id);

-- Authority over an organization, which no role of an account gives.
CREATE TABLE organization_administrators (
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (organization_id),
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

CREATE TABLE custom_roles (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    -- The name in upper case: names differ in more than case.
    name_key TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    base_role TEXT COLLATE "C" NOT NULL,
    -- As of memberships.
    collection_ids TEXT COLLATE "C" NOT NULL,
    is_emptied BIGINT NOT NULL DEFAULT 0,
    -- JSON array of access groups and features; empty gives everything of the base role.
    features TEXT COLLATE "C" NOT NULL,
    threat_protection BIGINT NOT NULL,
    is_default BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, name_key)
);
CREATE UNIQUE INDEX custom_roles_default ON custom_roles (account_id) WHERE is_default = 1;

CREATE TABLE invitations (
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    -- The address in lower case: one invitation an address.
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

-- Who is signed in. Cookies are known by their digests alone.
CREATE TABLE sessions (
    session_digest TEXT COLLATE "C" PRIMARY KEY,
    access_digest TEXT COLLATE "C" NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    account_id BIGINT NOT NULL REFERENCES accounts (account_id),
    -- Of single sign-on, sealed: the provider wants it back at logout.
    id_token BYTEA,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE login_failures (
    subject TEXT COLLATE "C" PRIMARY KEY,
    window_start BIGINT NOT NULL,
    failures BIGINT NOT NULL
);

-- Networks from which somebody has signed in: the failures of others do not count against them there.
CREATE TABLE login_places (
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    place_digest TEXT COLLATE "C" NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, place_digest)
);

-- One token a user and origin: an administrator's and one the user asked for do not block each other.
CREATE TABLE password_resets (
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    origin TEXT COLLATE "C" NOT NULL,
    token_digest TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, origin)
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
    -- Sealed.
    verifier BYTEA NOT NULL,
    invitation_digest TEXT COLLATE "C" NOT NULL,
    redirect_path TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
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

-- Keys that sign the tokens of callers. Private keys are sealed, here and below.
CREATE TABLE signing_keys (
    key_id TEXT COLLATE "C" PRIMARY KEY,
    public_key BYTEA NOT NULL,
    private_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- Keys by which the installation is known to others, such as push services.
CREATE TABLE installation_keys (
    name TEXT COLLATE "C" PRIMARY KEY,
    public_key BYTEA NOT NULL,
    private_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- One chain of events for each account; account 0 holds what belongs to none.
CREATE TABLE audit_events (
    account_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    user_id BIGINT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    time_ms BIGINT NOT NULL,
    event TEXT NOT NULL,
    -- The key by whose MAC it is chained; empty where it is chained by a digest.
    key_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    hash TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, seq),
    UNIQUE (account_id, event_id)
);
CREATE INDEX audit_events_actor ON audit_events (account_id, user_id, seq);
CREATE INDEX audit_events_action ON audit_events (account_id, action, seq);
CREATE INDEX audit_events_time ON audit_events (account_id, time_ms);

-- The last event of each chain. The seal is a MAC over every column of a head.
CREATE TABLE audit_heads (
    account_id BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    -- Up to this event the chain is by digests alone.
    unkeyed_seq BIGINT NOT NULL DEFAULT 0,
    -- Events up to this one have left the table; the anchor keeps the hash of the last of them.
    anchor_seq BIGINT NOT NULL DEFAULT 0,
    anchor_hash TEXT COLLATE "C" NOT NULL DEFAULT '',
    -- Up to this event the head was signed.
    signed_seq BIGINT NOT NULL DEFAULT 0,
    key_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    seal TEXT COLLATE "C" NOT NULL DEFAULT ''
);

-- Keys of the audit, sealed under the secret key, so that what an earlier one chained is verified after a rotation.
CREATE TABLE audit_keys (
    key_id TEXT COLLATE "C" PRIMARY KEY,
    sealed BYTEA NOT NULL
);
