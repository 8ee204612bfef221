-- Answers kept for repeats of a request under the same Idempotency-Key. `caller_key` begins with the account.
CREATE TABLE idempotency_keys (
    caller_key TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- While the first request is being answered; 0 afterwards.
    held_until BIGINT NOT NULL,
    status BIGINT,
    headers TEXT,
    body BLOB,
    PRIMARY KEY (caller_key, idempotency_key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
