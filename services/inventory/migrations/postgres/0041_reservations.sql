-- Endpoints that an import may add and has not added yet, so that racing imports keep within a plan together.
CREATE TABLE endpoint_reservations (
    reservation_id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL,
    endpoints BIGINT NOT NULL,
    -- Counts until this moment while it is not known where the log ends behind the records…
    until_at BIGINT NOT NULL,
    -- … and then until the inventory has read so far: JSON of partition to offset, in this source.
    source TEXT NOT NULL DEFAULT '',
    positions TEXT NOT NULL DEFAULT ''
);
CREATE INDEX endpoint_reservations_by_organization ON endpoint_reservations (organization_id);

-- Locked by whoever reserves for the organisation.
CREATE TABLE endpoint_reservation_locks (
    organization_id TEXT NOT NULL PRIMARY KEY
);
