-- The account in which an organisation token was made and acts. 0: the first account of its organisation.
ALTER TABLE organization_tokens ADD COLUMN account_id BIGINT NOT NULL DEFAULT 0;
