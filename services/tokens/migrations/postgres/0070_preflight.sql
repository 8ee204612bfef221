-- 1: preflight requests for the collections pass without a credential. Of the profile in the first generation, of the
-- client in the second.
ALTER TABLE api_clients ADD COLUMN allow_preflight BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_profiles ADD COLUMN allow_preflight BIGINT NOT NULL DEFAULT 0;
