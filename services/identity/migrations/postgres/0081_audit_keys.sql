-- The key by whose MAC an event is chained; empty for events that are older than keys.
ALTER TABLE audit_events ADD COLUMN key_id TEXT COLLATE "C" NOT NULL DEFAULT '';

-- The seal is a MAC over every column of a head. Up to `unkeyed_seq` events are chained without a key; those up to
-- `anchor_seq`, whose hash the anchor keeps, have left; up to `signed_seq` the head was signed.
ALTER TABLE audit_heads ADD COLUMN unkeyed_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_heads ADD COLUMN anchor_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_heads ADD COLUMN anchor_hash TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE audit_heads ADD COLUMN signed_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_heads ADD COLUMN key_id TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE audit_heads ADD COLUMN seal TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Keys of the audit, sealed under the secret key, so that what an earlier one chained is verified after a rotation.
CREATE TABLE audit_keys (
    key_id TEXT COLLATE "C" PRIMARY KEY,
    sealed BYTEA NOT NULL
);
