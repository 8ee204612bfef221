-- Tenants by the change of their state. Whoever closes an account, or opens or shuts an organisation, takes the next
-- number of the sequence 'tenant_state' and writes it here; the sequence's row is locked until the commit, so numbers
-- become visible in their order. 0 stands for what was always open.
ALTER TABLE accounts ADD COLUMN state_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN state_version BIGINT NOT NULL DEFAULT 0;
UPDATE accounts SET state_version = 1 WHERE state <> 'ACTIVE';
UPDATE organizations SET state_version = 1 WHERE state <> 'ACTIVE';
CREATE INDEX accounts_by_state_version ON accounts (state_version);
CREATE INDEX organizations_by_state_version ON organizations (state_version);
INSERT INTO identity_sequences (name, next) VALUES ('tenant_state', 2);
