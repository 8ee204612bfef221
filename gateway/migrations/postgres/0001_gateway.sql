-- Answers kept for repeats of a request under the same Idempotency-Key. `caller_key` begins with the account.
CREATE TABLE idempotency_keys (
    caller_key TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    request_digest TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    -- While the first request is being answered; 0 afterwards.
    held_until BIGINT NOT NULL,
    status BIGINT,
    headers TEXT COLLATE "C",
    body BYTEA,
    PRIMARY KEY (caller_key, idempotency_key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
