-- Messages that a webhook took, or did not: a repeated message is not posted again. Old rows are forgotten.
CREATE TABLE slack_messages (
    account_id BIGINT NOT NULL,
    message_id TEXT NOT NULL,
    webhook_id BIGINT NOT NULL,
    -- Unix seconds.
    posted_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, message_id, webhook_id)
);
