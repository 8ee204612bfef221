-- Which organization an account belongs to; an account never moves.
CREATE TABLE billing_accounts (
    account_id BIGINT NOT NULL PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL
);
CREATE INDEX billing_accounts_by_organization ON billing_accounts (organization_id, account_id);

-- The plan of an organization, and what the provider answered of it last.
CREATE TABLE billing_organizations (
    organization_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    plan_id TEXT,
    billing_period TEXT,
    is_customer BIGINT NOT NULL DEFAULT 0,
    -- Grows with every change of the plan; an answer asked for before the change is not kept.
    version BIGINT NOT NULL DEFAULT 0,
    -- JSON, as the provider gave them; null before the first answer.
    entitlements TEXT,
    fetched_at BIGINT NOT NULL DEFAULT 0,
    fetched_version BIGINT NOT NULL DEFAULT -1
);

-- Since when an organization uses more of a feature than its plan gives.
CREATE TABLE billing_overages (
    organization_id TEXT COLLATE "C" NOT NULL,
    feature TEXT COLLATE "C" NOT NULL,
    first_detected_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, feature)
);

-- One row for each event, so that it counts once; the key is a digest of source and id.
CREATE TABLE usage_events (
    account_id BIGINT NOT NULL,
    event_key BYTEA NOT NULL,
    feature TEXT COLLATE "C" NOT NULL,
    value BIGINT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (account_id, event_key)
);

-- Sums, kept as events arrive: HOUR, DAY and MONTH by their beginning in UTC, and TOTAL at 0.
CREATE TABLE usage_buckets (
    account_id BIGINT NOT NULL,
    feature TEXT COLLATE "C" NOT NULL,
    grain TEXT COLLATE "C" NOT NULL,
    start_at BIGINT NOT NULL,
    value BIGINT NOT NULL,
    events BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, grain, feature, start_at)
);

-- The last version of every count that another service keeps.
CREATE TABLE usage_versions (
    account_id BIGINT NOT NULL,
    feature TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account_id, feature)
);

-- Usage for the billing provider: due while `reported` is not `value`; null was never reported.
CREATE TABLE usage_reports (
    organization_id TEXT COLLATE "C" NOT NULL,
    feature TEXT COLLATE "C" NOT NULL,
    value BIGINT NOT NULL,
    reported BIGINT,
    PRIMARY KEY (organization_id, feature)
);

-- Which process does what one alone may do.
CREATE TABLE billing_leases (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    until BIGINT NOT NULL
);

-- Queries that were counted, so that a repeat counts once.
CREATE TABLE agent_queries (
    account_id BIGINT NOT NULL,
    query_id TEXT NOT NULL,
    -- When it was told here, whatever time it names.
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, query_id)
);
CREATE INDEX agent_queries_by_age ON agent_queries (recorded_at);

-- What each device asked an agent, in sums.
CREATE TABLE agent_analyses (
    account_id BIGINT NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL,
    user_name TEXT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    queries BIGINT NOT NULL,
    last_query_at BIGINT NOT NULL,
    last_query_id TEXT COLLATE "C" NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, agent_id, device_id)
);
CREATE INDEX agent_analyses_by_time ON agent_analyses (account_id, last_query_at);
CREATE INDEX agent_analyses_by_user ON agent_analyses (account_id, user_name, last_query_at);

-- The same queries by what they were about.
CREATE TABLE agent_topics (
    account_id BIGINT NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL,
    topic TEXT COLLATE "C" NOT NULL,
    sub_topic TEXT COLLATE "C" NOT NULL,
    queries BIGINT NOT NULL,
    PRIMARY KEY (account_id, agent_id, device_id, topic, sub_topic)
);

-- Queries that were found harmful, by category, with the last one as the example.
CREATE TABLE agent_harms (
    account_id BIGINT NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL,
    category TEXT COLLATE "C" NOT NULL,
    queries BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    last_query_id TEXT COLLATE "C" NOT NULL,
    last_reason TEXT NOT NULL,
    PRIMARY KEY (account_id, agent_id, device_id, category)
);
